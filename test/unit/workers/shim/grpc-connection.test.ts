import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseNamespace } from '../../../../src/shared/identifiers.ts';
import { dialShim } from '../../../../workers/shim/connection.ts';
import { TaskClient } from '../../../../workers/shim/task-client.ts';
import { taskMethods } from '../../../../workers/shim/task-methods.ts';

let directory: string;
let server: grpc.Server;
let address: string;
const namespaces: unknown[] = [];

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'shimd-grpc-'));
  address = `unix://${path.join(directory, 'shim.sock')}`;
  server = new grpc.Server();
  // Serves version 2 only, as the shims do that were made before 2.0.
  const { connect, kill } = taskMethods[2];
  const definition = (method: typeof connect | typeof kill) => ({
    path: `/${method.service}/${method.name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  });
  server.addService(
    { Connect: definition(connect), Kill: definition(kill) },
    {
      Connect: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) => {
        namespaces.push(...call.metadata.get('containerd-namespace'));
        // shim_pid = 42
        answer(null, Buffer.from([0x08, 42]));
      },
      Kill: (_: unknown, answer: grpc.sendUnaryData<Buffer>) =>
        answer({ code: grpc.status.NOT_FOUND, details: 'process already finished: not found' }),
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path.join(directory, 'shim.sock')}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
});

afterEach(async () => {
  server.forceShutdown();
  await rm(directory, { recursive: true, force: true });
});

const dial = () => dialShim({ version: 3, address, protocol: 'grpc' }, Date.now() + 5000);

test('a gRPC shim is called with the namespace, and in version 2 where it lacks version 3', async () => {
  let downgrades = 0;
  const connection = await dial();
  const client = new TaskClient({
    connection,
    namespace: parseNamespace('default'),
    version: 3,
    onDowngrade: async () => {
      downgrades += 1;
    },
  });
  expect((await client.call((api) => api.connect, { id: 'x' })).shimPid).toBe(42);
  expect(client.version).toBe(2);
  expect(downgrades).toBe(1);
  expect(namespaces).toEqual(['default']);
  await expect(client.call((api) => api.kill, { id: 'x', signal: 9 })).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: 'process already finished: not found',
  });
  connection.close();
  await connection.closed;
});

test('the end of a gRPC shim closes its connection', async () => {
  const connection = await dial();
  server.forceShutdown();
  expect((await connection.closed).message).toMatch(/closed/);
});

test('a gRPC shim that is not there is UNAVAILABLE at once', async () => {
  server.forceShutdown();
  await rm(path.join(directory, 'shim.sock'), { force: true });
  await expect(dial()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});
