import { readdirSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runtimeName } from '../../src/process-shim/about.ts';
import {
  containersDefinition,
  eventsDefinition,
  tasksDefinition,
  versionDefinition,
} from '../../src/shared/grpc/index.ts';
import { ApiClient, failureOf } from '../helpers/api-client.ts';
import { Daemon } from '../helpers/daemon.ts';
import { specAny } from '../helpers/spec.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

const frameTypes = { headers: 1, reset: 3, settings: 4 } as const;
const endOfHeaders = 4;

function http2Frame(type: number, flags: number, stream: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(body.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, body]);
}

/** A header's value. */
function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** Headers as literals, without any compression. */
function headerBlock(headers: Readonly<Record<string, string>>): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat(
    Object.entries(headers).map(([name, value]) => Buffer.concat([Buffer.of(0), text(name), text(value)])),
  );
}

describe('a connection that', () => {
  let daemon: Daemon;
  let descriptors: number;
  const sessions: ClientHttp2Session[] = [];

  const openDescriptors = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;
  /** Another client, which has nothing to do with what goes on. */
  const serves = () => daemon.client.call(versionDefinition.version, {}, { budget: 10_000 });

  beforeAll(async () => {
    daemon = await Daemon.start({ config: '[placement]\nidle_grace = "1s"\n' });
    // With what its first task leaves loaded.
    const run = ['run', '--rm', '--no-stdin', '--runtime', runtimeName, '--', 'true'];
    expect(await daemon.shimd(run)).toMatchObject({ code: 0 });
    await daemon.settled();
    descriptors = openDescriptors();
  });

  afterEach(async () => {
    for (const made of sessions.splice(0)) made.destroy();
    expect(daemon.running).toBe(true);
    expect((await serves()).version).not.toBe('');
    await waitFor(() => openDescriptors() <= descriptors, {
      budget: 15_000,
      doing: 'the connections to be given back',
    });
    expect(daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  function open(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(daemon.socket, () => resolve(socket));
      socket.once('error', reject);
      socket.on('error', () => undefined);
    });
  }

  /** So many connections at once; the kernel's queue of those that wait to be accepted is shorter than that. */
  async function openMany(count: number): Promise<Socket[]> {
    const sockets: Socket[] = [];
    while (sockets.length < count) {
      const batch = Math.min(200, count - sockets.length);
      const tried = await Promise.allSettled(Array.from({ length: batch }, open));
      sockets.push(...tried.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])));
      // Once the daemon answers, it has taken those before.
      await serves();
    }
    return sockets;
  }

  const closed = (socket: Socket): Promise<void> =>
    new Promise((resolve) => {
      if (socket.destroyed) resolve();
      else socket.once('close', () => resolve()).resume();
    });

  function session(): ClientHttp2Session {
    const made: ClientHttp2Session = connectHttp2('http://localhost', {
      createConnection: () => connect(daemon.socket),
    });
    made.on('error', () => undefined);
    sessions.push(made);
    return made;
  }

  const headersOf = (path: string) => ({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'containerd-namespace': daemon.namespace,
  });

  /** The gRPC status, or the HTTP status or error, that a request of these bytes ends with. */
  function request(client: ClientHttp2Session, headers: Record<string, string>, body: Buffer): Promise<string> {
    return new Promise((resolve) => {
      const stream = client.request(headers);
      let http = '';
      const take = (found: Record<string, unknown>): void => {
        if (found['grpc-status'] !== undefined) resolve(`grpc ${textOf(found['grpc-status'])}`);
        http = textOf(found[':status']) || http;
      };
      stream.on('response', take);
      stream.on('trailers', take);
      stream.on('error', (error) => resolve(`error ${'code' in error ? String(error.code) : error.message}`));
      stream.on('close', () => resolve(`http ${http}`));
      stream.resume();
      stream.end(body);
    });
  }

  const framed = (message: Buffer, length = message.length): Buffer => {
    const header = Buffer.alloc(5);
    header.writeUInt32BE(length, 1);
    return Buffer.concat([header, message]);
  };

  const list = '/containerd.services.tasks.v1.Tasks/List';

  test.each([
    ['garbage', Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 256))],
    ['HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['a TLS greeting', Buffer.from('160301020001000001fc0303', 'hex')],
    ['half of the preface', Buffer.from('PRI * HTTP/2.0\r\n\r\nS')],
    [
      'the preface and a frame of 16 MiB',
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x00\x00\x00\x00\x00\x01', 'latin1'),
    ],
    ['nothing', Buffer.alloc(0)],
  ])('brings %s is closed, at once or when its client goes', async (_, bytes) => {
    const socket = await open();
    socket.write(bytes);
    expect((await serves()).version).not.toBe('');
    socket.end();
    await closed(socket);
  });

  test('brings headers of 1 MiB is refused without harm to the others', async () => {
    const client = session();
    const outcome = await request(
      client,
      { ...headersOf(list), 'x-large': 'x'.repeat(1 << 20) },
      framed(Buffer.alloc(0)),
    );
    expect(outcome).toMatch(/^error|^http 431|^grpc/);
    client.destroy();
  });

  test.each([
    ['another content type', { 'content-type': 'application/json' }, 'http 415'],
    ['a method that is not there', { ':path': '/containerd.services.tasks.v1.Tasks/Explode' }, 'grpc 12'],
    ['a path that is none', { ':path': '/../../etc/passwd' }, 'grpc 12'],
    ['a deadline that is none', { 'grpc-timeout': 'soon' }, 'grpc 13'],
  ])('asks with %s is told so', async (_, headers, outcome) => {
    const client = session();
    expect(await request(client, { ...headersOf(list), ...headers }, framed(Buffer.alloc(0)))).toBe(outcome);
    client.close();
  });

  test.each([
    ['a message that is shorter than it says', framed(Buffer.alloc(10), 1000)],
    ['a message that says it has 4 GiB', framed(Buffer.alloc(10), 0xffff_ffff)],
    ['a message that is no protobuf', framed(Buffer.from([0xff, 0xff, 0xff, 0xff]))],
    ['no message', Buffer.alloc(0)],
    ['a header of a message that is cut off', Buffer.from([0, 0])],
    ['two messages where one is taken', Buffer.concat([framed(Buffer.alloc(0)), framed(Buffer.alloc(0))])],
    ['a compressed message without a compression', Buffer.concat([Buffer.from([1, 0, 0, 0, 1]), Buffer.alloc(1)])],
  ])('sends %s fails its own call', async (_, body) => {
    const client = session();
    const [outcome, other] = await Promise.all([
      request(client, headersOf(list), body),
      request(client, headersOf(list), framed(Buffer.alloc(0))),
    ]);
    expect(outcome).toMatch(/^grpc (?!0$)|^error/);
    expect(other).toBe('grpc 0');
    client.close();
  });

  test('sends a message over 16 MiB gets RESOURCE_EXHAUSTED, and its next call is served', async () => {
    using client = new ApiClient(daemon.socket, daemon.namespace);
    const container = { id: 'a', runtime: { name: 'x' }, spec: specAny({ id: 'a', args: ['x'.repeat(17 << 20)] }) };
    expect(await failureOf(client.call(containersDefinition.create, { container }))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
    await client.call(versionDefinition.version, {});
  });

  test('opens 1,000 streams and drops each at once does not keep the daemon from serving', async () => {
    const client = session();
    for (let i = 0; i < 1000; i++) {
      const stream = client.request(headersOf('/containerd.services.events.v1.Events/Subscribe'), { endStream: false });
      stream.on('error', () => undefined);
      stream.write(framed(Buffer.alloc(0)));
      if (i % 2 === 0) stream.close(8);
    }
    expect((await serves()).version).not.toBe('');
    client.destroy();
  });

  test('resets 5,000 streams as fast as it can keeps nobody from being served, and nothing of it stays', async () => {
    const socket = await open();
    socket.resume();
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(http2Frame(frameTypes.settings, 0, 0));
    const headers = headerBlock({ ...headersOf(list), ':scheme': 'http', ':authority': 'localhost' });
    for (let stream = 1; stream < 10_000; stream += 2) {
      socket.write(http2Frame(frameTypes.headers, endOfHeaders, stream, headers));
      socket.write(http2Frame(frameTypes.reset, 0, stream, Buffer.from([0, 0, 0, 8])));
    }
    // The daemon sends such a client away; it need not read that.
    for (let i = 0; i < 20; i++) expect((await serves()).version).not.toBe('');
    socket.destroy();
  });

  test('cancels 500 waits at once goes on', async () => {
    const id = uniqueName('c');
    await daemon.shimd(['run', '--detach', '--id', id, '--runtime', runtimeName, '--', 'sleep', '100']);
    using client = new ApiClient(daemon.socket, daemon.namespace);
    const waits = Array.from({ length: 500 }, () =>
      failureOf(client.call(tasksDefinition.wait, { containerId: id }, { budget: 3000 })),
    );
    for (const failure of await Promise.all(waits)) expect(failure).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await client.call(versionDefinition.version, {});
    expect(await daemon.shimd(['rm', '--force', id])).toMatchObject({ code: 0 });
  });

  test('is one of 3,000 idle ones disturbs nobody', async () => {
    const sockets = await openMany(3000);
    const began = Date.now();
    expect((await serves()).version).not.toBe('');
    expect(Date.now() - began).toBeLessThan(5000);
    const stream = daemon.client.stream(eventsDefinition.subscribe, {});
    stream.cancel();
    for (const socket of sockets) socket.destroy();
  });

  test('is one too many is refused, and served once there is room', async () => {
    const sockets = await openMany(4200);
    await waitFor(() => daemon.log.some(({ message }) => message === 'connection refused'));
    // Who is connected is served all the while.
    expect((await serves()).version).not.toBe('');
    for (const socket of sockets) socket.destroy();
    await waitFor(() => openDescriptors() <= descriptors, { budget: 15_000 });
    using client = new ApiClient(daemon.socket, daemon.namespace);
    await client.call(versionDefinition.version, {});
  });
});

describe('a daemon that may open few files', () => {
  test('refuses connections before it has none left for itself', async () => {
    await using daemon = await Daemon.start({ nofile: 400 });
    const sockets: Socket[] = [];
    for (let i = 0; i < 600; i++) sockets.push(connect(daemon.socket).on('error', () => undefined));
    await waitFor(() => daemon.log.some(({ message }) => message === 'connection refused'));
    const id = uniqueName('c');
    const container = { id, runtime: { name: runtimeName }, spec: specAny({ id, args: ['true'] }) };
    await daemon.client.call(containersDefinition.create, { container });
    for (const socket of sockets) socket.destroy();
    const run = ['run', '--rm', '--no-stdin', '--runtime', runtimeName, '--', 'true'];
    expect(await daemon.shimd(run)).toMatchObject({ code: 0 });
  });
});
