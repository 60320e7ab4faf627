import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, TaskError } from '../src/shared/errors/index.ts';
import type { SandboxRef } from '../src/shared/identifiers.ts';
import { plainTimestamp } from '../src/shared/wire/timestamp.ts';
import type { ShimConnection } from './shim/connection.ts';
import { callSandbox, sandboxMethods } from './shim/sandbox-methods.ts';
import type { Shim } from './shim/shim.ts';
import type { WorkerSlot } from './slot.ts';

/** Longest pause between two tries of a wait that a live shim refuses. */
const longestPause = 5000;

/** Connections that a WaitSandbox is open in. */
const watched = new WeakSet<ShimConnection>();

/**
 * Holds a WaitSandbox open from now on and reports the sandbox's exit, until that is known or the shim is lost or ends.
 * Idempotent. A shim that answers at once without a time has no process that the sandbox would end with.
 */
export function watchSandbox(slot: WorkerSlot, shim: Shim, ref: SandboxRef): void {
  const { connection } = shim.client;
  if (watched.has(connection)) return;
  watched.add(connection);
  shim.onReconnect = () => watchSandbox(slot, shim, ref);
  watch(slot, shim, ref).catch((error: unknown) => {
    slot.logger.warn('wait given up', { ...ref, reason: TaskError.from(error).message });
  });
}

async function watch(slot: WorkerSlot, shim: Shim, { namespace, sandbox }: SandboxRef): Promise<void> {
  const { connection } = shim.client;
  for (let pause = 50; ; pause = Math.min(pause * 2, longestPause)) {
    try {
      const answer = await callSandbox(shim, sandboxMethods.wait, { sandboxId: sandbox });
      const exitedAt = plainTimestamp(answer.exitedAt);
      if (exitedAt !== undefined) {
        slot.report({ kind: 'sandbox-exit', namespace, sandbox, status: answer.exitStatus, exitedAt });
      }
      return;
    } catch (error) {
      // A closed connection is the lost shim's path to handle; it watches again where there is something to watch.
      if (hasCode(error, 'UNAVAILABLE', 'UNIMPLEMENTED', 'NOT_FOUND') || shim.state !== 'live') return;
      slot.logger.warn('wait failed', { namespace, sandbox, reason: TaskError.from(error).message });
    }
    await delay(pause, undefined, { ref: false });
    if (shim.state !== 'live' || shim.client.connection !== connection) return;
  }
}
