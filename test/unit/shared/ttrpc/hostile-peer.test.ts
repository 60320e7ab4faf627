import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ttrpc } from '../../../../src/shared/proto/gen/wire.js';
import { FrameDecoder } from '../../../../src/shared/ttrpc/decoder.ts';
import { encodeFrame } from '../../../../src/shared/ttrpc/encoder.ts';
import { type Frame, maxFrameData } from '../../../../src/shared/ttrpc/frame.ts';
import { streaming, TtrpcClient, TtrpcServer, type UnaryMethod, unary } from '../../../../src/shared/ttrpc/index.ts';

const text = {
  encode: (value: string) => Buffer.from(value),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
};
const echo: UnaryMethod<string, string> = { service: 'test.Echo', name: 'Echo', ...text };

let directory: string;
let address: string;
const cleanups: (() => unknown)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'ttrpc-'));
  address = path.join(directory, 'raw.sock');
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  await rm(directory, { recursive: true, force: true });
});

function bytes(stream: number, type: number, data: Uint8Array, flags = 0): Buffer {
  return Buffer.concat(encodeFrame({ stream, type, flags, data }));
}

const reply = (stream: number, message: string) =>
  bytes(stream, 2, ttrpc.Response.encode({ payload: text.encode(message) }).finish());

/** A server that does with each frame what the test says. */
async function rawServer(onFrame: (frame: Frame, socket: Socket) => void): Promise<TtrpcClient> {
  const server: Server = createServer((socket) => {
    const decoder = new FrameDecoder({ frame: (frame) => onFrame(frame, socket), oversized: () => undefined });
    socket.on('data', (chunk) => decoder.push(chunk));
    socket.on('error', () => undefined);
    cleanups.push(() => socket.destroy());
  });
  server.listen(address);
  await once(server, 'listening');
  cleanups.push(() => server.close());
  const client = await TtrpcClient.connect(address, { deadline: Date.now() + 5000 });
  cleanups.push(() => client.close());
  return client;
}

/** A raw connection to a real server, and every response that came on it. */
async function rawClient(): Promise<{
  socket: Socket;
  answers: { stream: number; code: number; message: string }[];
}> {
  const server = new TtrpcServer({
    services: {
      'test.Echo': {
        Echo: unary(text, (message) => message),
        Chat: streaming({ ...text, clientStreams: true, serverStreams: true }, async function* (requests) {
          for await (const request of requests) yield request;
        }),
      },
    },
  });
  await server.listen(address);
  cleanups.push(() => server.close());
  const socket = connect(address);
  await once(socket, 'connect');
  cleanups.push(() => socket.destroy());
  const answers: { stream: number; code: number; message: string }[] = [];
  const decoder = new FrameDecoder({
    frame: ({ stream, type, data }) => {
      if (type !== 2) return;
      const { status, payload } = ttrpc.Response.decode(data);
      answers.push({ stream, code: status?.code ?? 0, message: status?.message ?? text.decode(payload) });
    },
    oversized: () => undefined,
  });
  socket.on('data', (chunk) => decoder.push(chunk));
  socket.on('error', () => undefined);
  return { socket, answers };
}

const request = (stream: number, message: string, method = 'Echo') =>
  bytes(stream, 1, ttrpc.Request.encode({ service: 'test.Echo', method, payload: text.encode(message) }).finish());

describe('a client', () => {
  test('numbers its calls 1, 3, 5', async () => {
    const ids: number[] = [];
    const client = await rawServer((frame, socket) => {
      ids.push(frame.stream);
      socket.write(reply(frame.stream, 'ok'));
    });
    await Promise.all([client.call(echo, ''), client.call(echo, ''), client.call(echo, '')]);
    expect(ids).toEqual([1, 3, 5]);
  });

  test('ignores and counts replies on streams that it does not know', async () => {
    const client = await rawServer((frame, socket) => {
      for (const stream of [0, 2, 99, 0xffff_ffff]) socket.write(reply(stream, 'wrong'));
      socket.write(Buffer.concat([bytes(77, 3, Buffer.from('data')), bytes(78, 200, Buffer.from('?'))]));
      socket.write(reply(frame.stream, 'right'));
    });
    expect(await client.call(echo, '')).toBe('right');
    expect(client.ignoredFrames).toBe(6);
  });

  test('fails only the call whose reply is oversized', async () => {
    const client = await rawServer((frame, socket) => {
      if (frame.stream !== 1) {
        socket.write(reply(frame.stream, 'fine'));
        return;
      }
      const header = Buffer.alloc(10);
      header.writeUInt32BE(maxFrameData + 1, 0);
      header.writeUInt32BE(1, 4);
      header[8] = 2;
      socket.write(header);
      socket.write(Buffer.alloc(maxFrameData + 1, 0xff));
    });
    const [large, other] = await Promise.allSettled([client.call(echo, 'a'), client.call(echo, 'b')]);
    expect(large).toMatchObject({ reason: { code: 'RESOURCE_EXHAUSTED' } });
    expect(other).toMatchObject({ value: 'fine' });
    expect(client.isOpen).toBe(true);
  });

  test('fails only the call whose reply is rubbish or of the wrong type', async () => {
    const client = await rawServer((frame, socket) => {
      if (frame.stream === 1) socket.write(bytes(1, 2, Buffer.from([0xff, 0xff, 0xff])));
      else if (frame.stream === 3) socket.write(bytes(3, 3, Buffer.from('data')));
      else if (frame.stream === 5) socket.write(bytes(5, 1, Buffer.alloc(0)));
      else socket.write(reply(frame.stream, 'fine'));
    });
    for (let call = 0; call < 3; call += 1) {
      await expect(client.call(echo, '')).rejects.toMatchObject({ code: 'INTERNAL' });
    }
    expect(await client.call(echo, '')).toBe('fine');
  });

  test('takes a status with a number that nobody assigned for UNKNOWN', async () => {
    const client = await rawServer((frame, socket) => {
      socket.write(bytes(frame.stream, 2, ttrpc.Response.encode({ status: { code: 4711, message: 'odd' } }).finish()));
    });
    await expect(client.call(echo, '')).rejects.toMatchObject({ code: 'UNKNOWN', message: 'odd' });
  });

  test('rejects every pending call with the reason when the server closes in the middle of a frame', async () => {
    const client = await rawServer((frame, socket) => {
      if (frame.stream === 3) socket.end(reply(1, 'cut').subarray(0, 12));
    });
    const results = await Promise.allSettled([client.call(echo, 'a'), client.call(echo, 'b')]);
    for (const result of results) {
      expect(result).toMatchObject({
        reason: { code: 'UNAVAILABLE', message: expect.stringContaining('in the middle of a frame') },
      });
    }
    await expect(client.closed).resolves.toMatchObject({ code: 'UNAVAILABLE' });
    expect(client.pendingCount).toBe(0);
  });

  test('hands out the reply that came right before the close', async () => {
    const client = await rawServer((frame, socket) => socket.end(reply(frame.stream, 'last words')));
    expect(await client.call(echo, '')).toBe('last words');
    await client.closed;
  });

  test('keeps its deadline against a server that never answers, and stays open', async () => {
    const client = await rawServer(() => undefined);
    const began = Date.now();
    await expect(client.call(echo, '', { deadline: began + 100 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringMatching(/^test\.Echo\/Echo: .*deadline exceeded$/),
    });
    expect(Date.now() - began).toBeLessThan(2000);
    expect(client.isOpen).toBe(true);
    expect(client.pendingCount).toBe(0);
  });

  test('keeps its deadline against a server that does not read', async () => {
    const client = await rawServer((_, socket) => socket.pause());
    const began = Date.now();
    const calls = Array.from({ length: 12 }, () => client.call(echo, 'x'.repeat(1_000_000), { deadline: began + 300 }));
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ reason: { code: 'DEADLINE_EXCEEDED' } });
    }
    const late = client.call(echo, 'x', { deadline: Date.now() + 100 });
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  test('survives rubbish instead of frames and still keeps its deadline', async () => {
    const client = await rawServer((_, socket) => socket.write(Buffer.alloc(5000, 0xee)));
    const call = client.call(echo, '', { deadline: Date.now() + 100 });
    await expect(call).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });
});

describe('a server', () => {
  test('answers even, reused and decreasing ids with INVALID_ARGUMENT on the id that was named', async () => {
    const { socket, answers } = await rawClient();
    socket.write(request(5, 'first'));
    await expect.poll(() => answers).toHaveLength(1);
    socket.write(Buffer.concat([request(4, 'even'), request(0, 'zero'), request(5, 'again'), request(3, 'back')]));
    await expect.poll(() => answers).toHaveLength(5);
    expect(answers).toEqual([
      { stream: 5, code: 0, message: 'first' },
      { stream: 4, code: 3, message: 'StreamID must be odd for client initiated streams' },
      { stream: 0, code: 3, message: 'StreamID must be odd for client initiated streams' },
      { stream: 5, code: 3, message: 'StreamID cannot be re-used and must increment' },
      { stream: 3, code: 3, message: 'StreamID cannot be re-used and must increment' },
    ]);
    socket.write(request(7, 'fine'));
    await expect.poll(() => answers.at(-1)).toEqual({ stream: 7, code: 0, message: 'fine' });
  });

  test('answers data on a stream that is not open, and ignores frame types of later versions', async () => {
    const { socket, answers } = await rawClient();
    socket.write(Buffer.concat([bytes(9, 3, Buffer.from('x')), bytes(11, 77, Buffer.from('x')), request(13, 'fine')]));
    await expect
      .poll(() => answers)
      .toEqual([
        { stream: 9, code: 3, message: 'StreamID is no longer active' },
        { stream: 13, code: 0, message: 'fine' },
      ]);
  });

  test('answers a request that is rubbish, and goes on', async () => {
    const { socket, answers } = await rawClient();
    socket.write(Buffer.concat([bytes(1, 1, Buffer.from([0xff, 0xff])), request(3, 'fine')]));
    await expect.poll(() => answers).toHaveLength(2);
    expect(answers[0]).toMatchObject({ stream: 1, code: 3 });
    expect(answers[1]).toEqual({ stream: 3, code: 0, message: 'fine' });
  });

  test('answers an oversized request with RESOURCE_EXHAUSTED and skips its bytes', async () => {
    const { socket, answers } = await rawClient();
    const large = Buffer.alloc(10 + maxFrameData + 1, 0x01);
    large.writeUInt32BE(maxFrameData + 1, 0);
    large.writeUInt32BE(1, 4);
    socket.write(Buffer.concat([large, request(3, 'fine')]));
    await expect.poll(() => answers).toHaveLength(2);
    expect(answers[0]).toMatchObject({ stream: 1, code: 8 });
    expect(answers[1]).toEqual({ stream: 3, code: 0, message: 'fine' });
  });

  test('fails a stream that sends after it has closed its side', async () => {
    const { socket, answers } = await rawClient();
    const open = ttrpc.Request.encode({ service: 'test.Echo', method: 'Chat' }).finish();
    socket.write(Buffer.concat([bytes(1, 1, open, 2), bytes(1, 3, Buffer.alloc(0), 5), bytes(1, 3, Buffer.from('x'))]));
    socket.write(request(3, 'fine'));
    await expect.poll(() => answers.at(-1)).toEqual({ stream: 3, code: 0, message: 'fine' });
    expect(answers[0]).toMatchObject({ stream: 1, code: 3 });
    expect(answers).toHaveLength(2);
  });

  test('outlives a client that breaks off in the middle of a frame', async () => {
    const { socket } = await rawClient();
    socket.end(request(1, 'cut').subarray(0, 15));
    await once(socket, 'close');
    const client = await TtrpcClient.connect(address, { deadline: Date.now() + 5000 });
    cleanups.push(() => client.close());
    expect(await client.call(echo, 'fine')).toBe('fine');
  });

  test('stops reading a client that does not read its replies', async () => {
    const { socket } = await rawClient();
    socket.pause();
    const large = 'x'.repeat(1_000_000);
    let accepted = 0;
    for (let stream = 1; stream < 200; stream += 2) socket.write(request(stream, large), () => (accepted += 1));
    await expect.poll(() => accepted).toBeGreaterThan(0);
    let before = -1;
    await expect
      .poll(
        () => {
          const settled = accepted === before;
          before = accepted;
          return settled;
        },
        { interval: 200 },
      )
      .toBe(true);
    expect(accepted).toBeLessThan(50);
  });
});
