import { mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EventsEndpoint } from '../../../src/events/endpoint.ts';
import type { Envelope } from '../../../src/events/envelope.ts';
import { taskExitEvent } from '../../../src/events/topics.ts';
import { createLogger, silentLogger } from '../../../src/shared/log/logger.ts';
import { containerd } from '../../../src/shared/proto/gen/events.js';
import { TtrpcClient, type UnaryMethod } from '../../../src/shared/ttrpc/index.ts';
import { wireAny } from '../../../src/shared/wire/any.ts';

const { ForwardRequest } = containerd.services.events.ttrpc.v1;

const forward: UnaryMethod<Uint8Array, Uint8Array> = {
  service: 'containerd.services.events.ttrpc.v1.Events',
  name: 'Forward',
  encode: (bytes) => bytes,
  decode: (bytes) => bytes,
};

let directory: string;
let socket: string;
const opened: { close(): unknown }[] = [];

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'events-'));
  socket = path.join(directory, 'events.sock');
});

afterEach(async () => {
  for (const resource of opened.splice(0).toReversed()) await resource.close();
  await rm(directory, { recursive: true, force: true });
});

async function listen(onForward: (envelope: Envelope) => void, logger = silentLogger): Promise<EventsEndpoint> {
  const endpoint = await EventsEndpoint.listen(socket, onForward, logger);
  opened.push(endpoint);
  return endpoint;
}

async function dial(): Promise<TtrpcClient> {
  const client = await TtrpcClient.connect(socket, { deadline: Date.now() + 5000 });
  opened.push(client);
  return client;
}

const exitedAt = { seconds: 1_700_000_000, nanos: 5 };
const event = taskExitEvent({ containerId: 'web', id: 'web', pid: 7, exitStatus: 1, exitedAt }).event;

function request(changes: Partial<Omit<Envelope, 'event'>> = {}): Uint8Array {
  const envelope = { timestamp: exitedAt, namespace: 'default', topic: '/tasks/exit', ...changes };
  return ForwardRequest.encode({ envelope: { ...envelope, event: wireAny(event) } }).finish();
}

test('a forwarded envelope is handed on as it was sent', async () => {
  const received: Envelope[] = [];
  await listen((envelope) => received.push(envelope));
  const reply = await (await dial()).call(forward, request());
  expect(reply).toHaveLength(0);
  expect(received).toHaveLength(1);
  expect(received[0]).toMatchObject({ timestamp: exitedAt, namespace: 'default', topic: '/tasks/exit' });
  expect(received[0]?.event.typeUrl).toBe('containerd.events.TaskExit');
  expect(Buffer.from(received[0]?.event.value ?? []).equals(event.value)).toBe(true);
});

test('a hundred in a row arrive in order', async () => {
  const received: string[] = [];
  await listen(({ topic }) => received.push(topic));
  const client = await dial();
  const sent = Array.from({ length: 100 }, (_, number) => `/tasks/t${number}`);
  await Promise.all(sent.map((topic) => client.call(forward, request({ topic }))));
  expect(received).toEqual(sent);
});

test('an envelope that is none is answered at once and breaks nothing', async () => {
  const received: Envelope[] = [];
  await listen((envelope) => received.push(envelope));
  const client = await dial();
  const bad = [
    Buffer.from([255, 255]),
    new Uint8Array(),
    request({ topic: 'tasks' }),
    request({ namespace: '../x' }),
    request({ timestamp: { seconds: 0, nanos: 0 } }),
    ForwardRequest.encode({ envelope: { timestamp: exitedAt, namespace: 'default', topic: '/a' } }).finish(),
  ];
  for (const bytes of bad) {
    const call = client.call(forward, bytes, { deadline: Date.now() + 5000 });
    await expect(call).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
  await client.call(forward, request());
  expect(received).toHaveLength(1);
});

test('a receiver that throws is logged, and the shim is answered all the same', async () => {
  const lines: string[] = [];
  await listen(
    () => {
      throw new Error('broken');
    },
    createLogger((_, line) => lines.push(line)),
  );
  await (await dial()).call(forward, request());
  expect(lines).toEqual(['forwarded event not handled']);
});

test('the socket file stays after close, refuses at once, and the next endpoint takes its place', async () => {
  await (await listen(() => undefined)).close();
  expect((await stat(socket)).isSocket()).toBe(true);
  expect((await stat(socket)).mode & 0o777).toBe(0o600);
  await expect(dial()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  const received: Envelope[] = [];
  await listen((envelope) => received.push(envelope));
  await (await dial()).call(forward, request());
  expect(received).toHaveLength(1);
});

test('tells where its socket is gone or another is in its place, and shims do not find it', async () => {
  const endpoint = await listen(() => undefined);
  expect(endpoint.health()).toEqual({ component: 'events-endpoint' });
  await rename(socket, `${socket}.aside`);
  const lost = { component: 'events-endpoint', trouble: { state: 'failed', reason: expect.stringContaining(socket) } };
  expect(endpoint.health()).toEqual(lost);
  await writeFile(socket, '');
  expect(endpoint.health()).toEqual(lost);
  await rename(`${socket}.aside`, socket);
  expect(endpoint.health()).toEqual({ component: 'events-endpoint' });
});
