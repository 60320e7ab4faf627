import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Daemon } from '../../../../src/cli/client/daemon.ts';
import { waitForExit } from '../../../../src/cli/client/wait-for-exit.ts';
import { tasksDefinition } from '../../../../src/shared/grpc/index.ts';
import { parseNamespace } from '../../../../src/shared/identifiers.ts';
import { deferred } from '../../../../src/shared/util/deferred.ts';

type Answer = sendUnaryData<unknown>;

let directory: string;
let socket: string;
let server: Server | undefined;
let daemon: Daemon;
const name = { namespace: parseNamespace('ns'), task: 'web', exec: '' };

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'shimd-wait-'));
  socket = path.join(directory, 's.sock');
  daemon = new Daemon(socket);
});

afterEach(() => {
  daemon.close();
  server?.forceShutdown();
  rmSync(directory, { recursive: true, force: true });
});

/** A daemon whose Wait answers as told. */
async function serve(onWait: (call: ServerUnaryCall<unknown, unknown>, answer: Answer) => void): Promise<void> {
  server = new Server();
  server.addService(tasksDefinition, { get: (_: unknown, answer: Answer) => answer(null, {}), wait: onWait });
  const bound = deferred<void>();
  server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
    error ? bound.reject(error) : bound.resolve(),
  );
  await bound.promise;
}

describe('waiting for an exit', () => {
  test('asks in the namespace and gives status and time', async () => {
    let namespace: unknown;
    await serve((call, answer) => {
      namespace = call.metadata.get('containerd-namespace')[0];
      answer(null, { exitStatus: 7, exitedAt: { seconds: 5, nanos: 0 } });
    });
    const exit = await waitForExit(daemon, name, new AbortController().signal);
    expect(exit).toEqual({ status: 7, exitedAt: { seconds: 5, nanos: 0 } });
    expect(namespace).toBe('ns');
  });

  test('goes on when the daemon dies and comes back, and says so once each', async () => {
    const asked = deferred<void>();
    await serve(() => asked.resolve());
    const seen: string[] = [];
    const exit = waitForExit(daemon, name, new AbortController().signal, {
      lost: () => seen.push('lost'),
      back: () => seen.push('back'),
    });
    await asked.promise;
    server?.forceShutdown();
    await vi.waitFor(() => expect(seen).toEqual(['lost']));
    await serve((_, answer) => answer(null, { exitStatus: 12 }));
    expect((await exit).status).toBe(12);
    expect(seen).toEqual(['lost', 'back']);
  });

  test('goes on where the daemon itself answers that it is unavailable', async () => {
    let calls = 0;
    await serve((_, answer) => {
      calls += 1;
      if (calls < 3) answer({ code: status.UNAVAILABLE, details: 'the slot was lost' });
      else answer(null, { exitStatus: 1 });
    });
    expect((await waitForExit(daemon, name, new AbortController().signal)).status).toBe(1);
  });

  test('ends with the daemon’s word where the process is gone', async () => {
    await serve((_, answer) => answer({ code: status.NOT_FOUND, details: 'task web not found' }));
    await expect(waitForExit(daemon, name, new AbortController().signal)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'task web not found',
    });
  });

  test('ends with the signal, while it waits and while there is no daemon', async () => {
    const asked = deferred<void>();
    await serve(() => asked.resolve());
    const first = new AbortController();
    const waiting = waitForExit(daemon, name, first.signal);
    await asked.promise;
    first.abort();
    await expect(waiting).rejects.toThrow(/context canceled/);

    server?.forceShutdown();
    const second = new AbortController();
    const lost = deferred<void>();
    const alone = waitForExit(daemon, name, second.signal, { lost: () => lost.resolve() });
    await lost.promise;
    second.abort();
    await expect(alone).rejects.toThrow(/abort|canceled/);
  });
});
