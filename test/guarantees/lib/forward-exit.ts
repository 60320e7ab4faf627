import path from 'node:path';
import { type TopicEvent, taskExitEvent, taskOomEvent } from '../../../src/events/topics.ts';
import { containerd } from '../../../src/shared/proto/gen/events.js';
import { TtrpcClient } from '../../../src/shared/ttrpc/index.ts';
import { wireAny } from '../../../src/shared/wire/any.ts';
import { type Timestamp, timestampNow, timestampOf } from '../../../src/shared/wire/timestamp.ts';
import type { Daemon } from '../../helpers/daemon.ts';

const { ForwardRequest } = containerd.services.events.ttrpc.v1;
const forward = {
  service: 'containerd.services.events.ttrpc.v1.Events',
  name: 'Forward',
  encode: (bytes: Uint8Array) => bytes,
  decode: (bytes: Uint8Array) => bytes,
};

/** Sends to a daemon what a shim would send: the exit of a process. Throws where nobody listens yet. */
export async function forwardExit(
  daemon: Daemon,
  exit: { readonly containerId: string; readonly id: string; readonly pid: number; readonly exitStatus: number },
): Promise<void> {
  const at = timestampNow();
  await forwardTo(daemon, at, taskExitEvent({ ...exit, exitedAt: at }));
}

/** The same of an out-of-memory event, which happened at a time (milliseconds since 1970). */
export async function forwardOom(daemon: Daemon, containerId: string, at: number): Promise<void> {
  await forwardTo(daemon, timestampOf(at), taskOomEvent({ containerId }));
}

async function forwardTo(daemon: Daemon, timestamp: Timestamp, { topic, event }: TopicEvent): Promise<void> {
  const client = await TtrpcClient.connect(path.join(daemon.state, 'events.sock'), { deadline: Date.now() + 10_000 });
  try {
    const envelope = { timestamp, namespace: daemon.namespace, topic, event: wireAny(event) };
    await client.call(forward, ForwardRequest.encode({ envelope }).finish(), { deadline: Date.now() + 10_000 });
  } finally {
    client.close();
  }
}
