import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import http2 from 'node:http2';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { TaskManager } from '../../../src/api/index.ts';
import { TaskError } from '../../../src/shared/errors/index.ts';
import {
  adminDefinition,
  containersDefinition,
  eventsDefinition,
  healthDefinition,
  introspectionDefinition,
  leasesDefinition,
  namespacesDefinition,
  tasksDefinition,
  type UnaryMethod,
  versionDefinition,
} from '../../../src/shared/grpc/index.ts';
import { createLogger, type LogFields } from '../../../src/shared/log/logger.ts';
import { deferred } from '../../../src/shared/util/deferred.ts';
import { createContainer, serve } from './fixture.ts';

const definitions = {
  adminDefinition,
  containersDefinition,
  eventsDefinition,
  healthDefinition,
  introspectionDefinition,
  leasesDefinition,
  namespacesDefinition,
  tasksDefinition,
  versionDefinition,
};

const raw = { encode: () => ({ finish: () => new Uint8Array() }), decode: (bytes: Uint8Array) => bytes };

/** A method that is only known by its path. */
function methodAt(path: string): UnaryMethod<object, Uint8Array, object, Uint8Array> {
  const serialize = () => Buffer.from(raw.encode().finish());
  return {
    path,
    originalName: path,
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize,
    responseSerialize: serialize,
    requestDeserialize: raw.decode,
    responseDeserialize: raw.decode,
  };
}

describe('ApiServer', () => {
  test('serves every method of every service that it defines', async () => {
    const { client } = await serve();
    for (const definition of Object.values(definitions)) {
      for (const method of Object.values(definition)) {
        if (method.responseStream) continue;
        const code = await client.call(methodAt(method.path), {}).then(
          () => 'OK',
          (error: Error & { code: string }) => `${error.code} ${error.message}`,
        );
        expect(`${method.path} ${code}`).not.toMatch(/UNIMPLEMENTED The server does not implement/);
      }
    }
  });

  test.each([
    '/containerd.services.images.v1.Images/List',
    '/containerd.services.content.v1.Content/Write',
    '/containerd.services.snapshots.v1.Snapshots/Prepare',
    '/containerd.services.diff.v1.Diff/Apply',
    '/containerd.services.transfer.v1.Transfer/Transfer',
    '/containerd.services.streaming.v1.Streaming/Stream',
    '/containerd.services.mounts.v1.Mounts/Activate',
  ])('says of %s that it is not served, in words that nobody takes for “not there”', async (method) => {
    const { client } = await serve();
    const failed = client.call(methodAt(method), {});
    await expect(failed).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
      message: expect.stringMatching(/is not served: .*: not implemented$/),
    });
    await expect(failed).rejects.not.toMatchObject({
      message: expect.stringMatching(/not found|no such|does not exist/),
    });
  });

  test('answers UNIMPLEMENTED for a service that nobody knows', async () => {
    const { client } = await serve();
    await expect(client.call(methodAt('/no.such.Service/Method'), {})).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
  });

  test('makes a socket that only its owner can use, whatever the mask', async () => {
    const mask = process.umask(0);
    onTestFinished(() => {
      process.umask(mask);
    });
    const { address } = await serve();
    const found = await stat(address);
    expect(found.isSocket()).toBe(true);
    expect(found.mode & 0o777).toBe(0o600);
    expect(process.umask()).toBe(0);
  });

  test('takes the place of a socket that nobody serves any more', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'shimd-api-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const address = path.join(directory, 'stale.sock');
    const script = `require('net').createServer().listen(${JSON.stringify(address)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await promisify(execFile)(process.execPath, ['-e', script]).catch(() => undefined);
    expect((await stat(address)).isSocket()).toBe(true);
    const { server } = await serve();
    await server.listen(address);
    const socket = connect(address);
    await once(socket, 'connect');
    socket.destroy();
  });

  test('refuses a path with another file, one that is too long, and a directory that is not there', async () => {
    const { server, directory } = await serve();
    const file = path.join(directory, 'file');
    await writeFile(file, 'precious');
    await symlink(file, path.join(directory, 'link'));
    await expect(server.listen(file)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await expect(server.listen(path.join(directory, 'link'))).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await expect(server.listen(path.join(directory, 'x'.repeat(108)))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/has at most 107/),
    });
    await expect(server.listen(path.join(directory, 'none', 'sock'))).rejects.toMatchObject({
      message: expect.stringContaining(`listen at ${path.join(directory, 'none', 'sock')}`),
    });
    expect((await stat(file)).size).toBe(8);
  });

  test('removes its socket when it closes, but not the one that took its place', async () => {
    const { server, address } = await serve();
    await server.close();
    await expect(stat(address)).rejects.toMatchObject({ code: 'ENOENT' });

    const other = await serve();
    await rm(other.address);
    const successor = createServer().listen(other.address);
    await once(successor, 'listening');
    onTestFinished(() => {
      successor.close();
    });
    await other.server.close();
    expect((await stat(other.address)).isSocket()).toBe(true);
  });

  test('logs who connected', async () => {
    const lines: { event: string; fields: LogFields }[] = [];
    const { server, directory } = await serve(
      {},
      createLogger((_, event, fields) => lines.push({ event, fields }), 'info'),
    );
    const address = path.join(directory, 'other.sock');
    await server.listen(address, { peerOf: () => ({ pid: 12, uid: 34 }) });
    const socket = connect(address);
    await once(socket, 'connect');
    await expect.poll(() => lines).toContainEqual({ event: 'client connected', fields: { pid: 12, uid: 34 } });
    socket.destroy();
  });

  test('survives garbage, half an HTTP/2 request and clients that vanish, and goes on serving', async () => {
    const { client, address } = await serve();
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.alloc(100_000, 0xff),
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(50_000, 7)]),
    ]) {
      const socket = connect(address);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(bytes);
      socket.resume();
      await new Promise((resolve) => socket.write(Buffer.alloc(1), resolve));
      socket.destroy();
    }
    expect(await client.call(versionDefinition.version, {})).toMatchObject({ version: '1.2.3', revision: 'abc' });
  });

  test('answers a request that is no protobuf with an error of its own', async () => {
    const { client, address } = await serve();
    const session = http2.connect('http://localhost', { createConnection: () => connect(address) });
    onTestFinished(() => session.destroy());
    const stream = session.request({
      ':method': 'POST',
      ':path': containersDefinition.get.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'containerd-namespace': 'default',
    });
    stream.end(Buffer.from([0, 0, 0, 0, 3, 0xff, 0xff, 0xff]));
    const status = deferred<string | undefined>();
    stream.on('response', (headers) => headers['grpc-status'] && status.resolve(String(headers['grpc-status'])));
    stream.on('trailers', (headers) => status.resolve(String(headers['grpc-status'])));
    stream.resume();
    expect(await status.promise).not.toBe('0');
    await createContainer(client, 'still-there');
  });

  test('ends streams and waits with UNAVAILABLE at once when it closes, and lets other calls finish', async () => {
    const started = deferred<void>();
    const finish = deferred<void>();
    const script: Partial<TaskManager> = {
      wait: () => new Promise(() => undefined),
      start: async () => {
        started.resolve();
        await finish.promise;
        return { pid: 5 };
      },
    };
    const { client, connect: another, server } = await serve(script);
    const stream = client.stream(eventsDefinition.subscribe, {});
    const health = client.stream(healthDefinition.watch, {});
    const wait = client.call(tasksDefinition.wait, { containerId: 'one' });
    const start = client.call(tasksDefinition.start, { containerId: 'one' });
    wait.catch(() => undefined);
    await started.promise;
    await expect.poll(() => health.messages.length).toBe(1);

    const closed = server.close({ grace: 5_000 });
    await expect(stream.ended).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(health.ended).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(wait).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(another().call(versionDefinition.version, {}, { budget: 2_000 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    finish.resolve();
    expect(await start).toMatchObject({ pid: 5 });
    await closed;
  });

  test('does not wait for a call that never ends longer than the grace', async () => {
    const { client, server } = await serve({ start: () => new Promise(() => undefined) });
    const start = client.call(tasksDefinition.start, { containerId: 'one' });
    start.catch(() => undefined);
    await client.call(versionDefinition.version, {});
    const began = Date.now();
    await server.close({ grace: 200 });
    expect(Date.now() - began).toBeLessThan(2_000);
    await expect(start).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('closes while a client that reads nothing holds a stream', async () => {
    const { address, server, exchange } = await serve();
    const socket = connect(address);
    const session = http2.connect('http://localhost', { createConnection: () => socket });
    session.on('error', () => undefined);
    const stream = session.request({
      ':method': 'POST',
      ':path': eventsDefinition.subscribe.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'containerd-namespace': 'default',
    });
    stream.on('error', () => undefined);
    stream.end(Buffer.alloc(5));
    await once(stream, 'response');
    socket.pause();
    for (let i = 0; i < 3_000; i++) {
      exchange.publish({
        timestamp: { seconds: 1, nanos: 0 },
        namespace: 'default',
        topic: '/tasks/start',
        event: { typeUrl: 'x', value: Buffer.alloc(1_000) },
      });
    }
    const began = Date.now();
    await server.close({ grace: 200 });
    expect(Date.now() - began).toBeLessThan(3_000);
    session.destroy();
  });

  test('writes errors that are its own fault to the log', async () => {
    const lines: string[] = [];
    const { client } = await serve(
      {
        start: async () => {
          throw new TaskError('INTERNAL', 'broken');
        },
      },
      createLogger((level, event) => lines.push(`${level} ${event}`), 'debug'),
    );
    await expect(client.call(tasksDefinition.start, { containerId: 'one' })).rejects.toMatchObject({
      code: 'INTERNAL',
    });
    expect(lines).toContain('error call failed');
  });
});
