import { expect, test } from 'vitest';
import { notFound } from '../../../../src/shared/errors/index.ts';
import { type StreamMethod, streaming } from '../../../../src/shared/ttrpc/index.ts';
import { deferred } from '../../../../src/shared/util/deferred.ts';
import { echo, echoing, TtrpcGround, text } from './fixture.ts';

const ground = new TtrpcGround();

const chat: StreamMethod<string, string> = {
  service: 'test.Echo',
  name: 'Chat',
  clientStreams: true,
  serverStreams: true,
  ...text,
};

async function collect(stream: AsyncIterable<string>): Promise<string[]> {
  const messages: string[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

test('both sides of a stream send as they like, empty messages included', async () => {
  const { client } = await ground.serve({
    Chat: streaming({ ...text, clientStreams: true, serverStreams: true }, async function* (requests) {
      for await (const request of requests) yield `<${request}>`;
      yield '';
    }),
  });
  const stream = client.stream(chat, undefined);
  for (const message of ['a', '', 'c']) await stream.send(message);
  await stream.closeSend();
  expect(await collect(stream)).toEqual(['<a>', '<>', '<c>', '']);
  expect(client.pendingCount).toBe(0);
  await expect(stream.send('late')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
});

test('a server streams to one request, a client streams to one reply', async () => {
  const { client } = await ground.serve({
    Count: streaming({ ...text, clientStreams: false, serverStreams: true }, async function* (requests) {
      for await (const request of requests) {
        for (let number = 0; number < Number(request); number += 1) yield String(number);
      }
    }),
    Sum: streaming({ ...text, clientStreams: true, serverStreams: false }, async function* (requests) {
      let sum = 0;
      for await (const request of requests) sum += Number(request);
      yield String(sum);
    }),
  });
  const count = client.stream({ ...chat, name: 'Count', clientStreams: false }, '3');
  expect(await collect(count)).toEqual(['0', '1', '2']);
  const sum = client.stream({ ...chat, name: 'Sum', serverStreams: false }, undefined);
  for (const message of ['1', '2', '39']) await sum.send(message);
  await sum.closeSend();
  expect(await collect(sum)).toEqual(['42']);
});

test('an error in the middle of a stream comes after what was sent before it', async () => {
  const { client } = await ground.serve({
    Chat: streaming({ ...text, clientStreams: true, serverStreams: true }, async function* () {
      yield 'one';
      throw notFound('task y not found');
    }),
  });
  const messages = client.stream(chat, undefined)[Symbol.asyncIterator]();
  expect(await messages.next()).toEqual({ done: false, value: 'one' });
  await expect(messages.next()).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'task y not found' });
  expect(await messages.next()).toEqual({ done: true, value: undefined });
});

test('leaving a stream early forgets it and lets the server end its side', async () => {
  const ended = deferred<void>();
  const { client } = await ground.serve({
    Chat: streaming({ ...text, clientStreams: true, serverStreams: true }, async function* (requests) {
      yield 'one';
      for await (const request of requests) yield request;
      ended.resolve();
    }),
  });
  for await (const message of client.stream(chat, undefined)) {
    expect(message).toBe('one');
    break;
  }
  expect(client.pendingCount).toBe(0);
  await ended.promise;
});

test('a stream that nobody reads is cut off and the connection goes on', async () => {
  const { client } = await ground.serve({
    Echo: echoing,
    Chat: streaming({ ...text, clientStreams: true, serverStreams: true }, async function* () {
      for (let sent = 0; sent < 40; sent += 1) yield 'x'.repeat(1024 * 1024);
    }),
  });
  const stream = client.stream(chat, undefined);
  await expect.poll(() => client.pendingCount, { timeout: 10_000 }).toBe(0);
  expect(await client.call(echo, 'on')).toBe('on');
  await expect(collect(stream)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
});

test('a stream ends with UNAVAILABLE when the connection closes', async () => {
  const { server, client } = await ground.serve({
    Chat: streaming({ ...text, clientStreams: true, serverStreams: true }, async function* (requests) {
      for await (const request of requests) yield request;
    }),
  });
  const reading = Promise.allSettled([collect(client.stream(chat, undefined))]);
  await server.close();
  expect((await reading)[0]).toMatchObject({ reason: { code: 'UNAVAILABLE' } });
});
