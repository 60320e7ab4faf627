import { expect, test } from 'vitest';
import { notFound, TaskError } from '../../../../src/shared/errors/index.ts';
import { type CallContext, unary } from '../../../../src/shared/ttrpc/index.ts';
import { deferred } from '../../../../src/shared/util/deferred.ts';
import { echo, echoing, method, TtrpcGround, text } from './fixture.ts';

const ground = new TtrpcGround();

test('a call is answered with the reply of its handler', async () => {
  const { client } = await ground.serve({ Echo: echoing });
  expect(await client.call(echo, 'hello')).toBe('hello');
  expect(await client.call(echo, '')).toBe('');
});

test('a thousand calls side by side each get their own reply, in any order', async () => {
  const { client } = await ground.serve({
    Echo: unary(text, async (message) => {
      if (Number(message) % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      return message;
    }),
  });
  const numbers = Array.from({ length: 1000 }, (_, number) => String(number));
  expect(await Promise.all(numbers.map((number) => client.call(echo, number)))).toEqual(numbers);
  expect(client.pendingCount).toBe(0);
});

test('an error of a handler arrives with its code and message', async () => {
  const { client } = await ground.serve({
    Echo: unary(text, () => {
      throw notFound('task x not found');
    }),
  });
  await expect(client.call(echo, '')).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'task x not found' });
});

test('what a handler throws by mistake arrives as UNKNOWN and is reported on the server', async () => {
  const reported: Error[] = [];
  const { client } = await ground.serve(
    {
      Echo: unary(text, () => {
        throw new TypeError('oops');
      }),
    },
    { onError: (error) => reported.push(error) },
  );
  await expect(client.call(echo, '')).rejects.toMatchObject({ code: 'UNKNOWN', message: 'oops' });
  expect(reported).toHaveLength(1);
});

test('an unknown service or method is UNIMPLEMENTED, names of object prototypes too', async () => {
  const { client } = await ground.serve({ Echo: echoing });
  const cases = [
    [method('Echo', 'test.Other'), 'service test.Other'],
    [method('Nope'), 'method Nope'],
    [method('constructor'), 'method constructor'],
    [method('x', '__proto__'), 'service __proto__'],
  ] as const;
  for (const [unknown, message] of cases) {
    await expect(client.call(unknown, '')).rejects.toMatchObject({ code: 'UNIMPLEMENTED', message });
  }
  expect(await client.call(echo, 'still here')).toBe('still here');
});

test('a request over 4 MiB fails alone', async () => {
  const { client } = await ground.serve({ Echo: echoing });
  const large = client.call(echo, 'x'.repeat(5 * 1024 * 1024));
  await expect(large).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  expect(await client.call(echo, 'small')).toBe('small');
});

test('a reply over 4 MiB fails its call alone', async () => {
  const { client } = await ground.serve({
    Echo: unary(text, (message) => (message === 'large' ? 'x'.repeat(5 * 1024 * 1024) : message)),
  });
  const [large, small] = await Promise.allSettled([client.call(echo, 'large'), client.call(echo, 'small')]);
  expect(large).toMatchObject({ status: 'rejected', reason: { code: 'RESOURCE_EXHAUSTED' } });
  expect(small).toMatchObject({ status: 'fulfilled', value: 'small' });
});

test('4 MB each way, ten at a time, arrive unharmed', async () => {
  const { client } = await ground.serve({ Echo: echoing });
  const messages = Array.from({ length: 10 }, (_, at) => String(at).repeat(4_000_000));
  const replies = await Promise.all(messages.map((message) => client.call(echo, message)));
  expect(replies.every((reply, at) => reply === messages[at])).toBe(true);
});

test('metadata and the time left reach the handler, the time only where it is asked for', async () => {
  const contexts: CallContext[] = [];
  const { client } = await ground.serve({
    Echo: unary(text, (message, context) => {
      contexts.push(context);
      return message;
    }),
  });
  const deadline = Date.now() + 30_000;
  const metadata = { 'containerd-namespace-ttrpc': 'k8s.io' };
  await client.call(echo, '', { deadline, metadata });
  await client.call(echo, '', { deadline, sendDeadline: true });
  expect(contexts.map((context) => context.metadata.get('containerd-namespace-ttrpc'))).toEqual(['k8s.io', undefined]);
  expect(contexts[0]?.deadline).toBeUndefined();
  expect(Math.abs((contexts[1]?.deadline ?? 0) - deadline)).toBeLessThan(1000);
});

test('a handler hears of the deadline that was sent', async () => {
  const heard = deferred<unknown>();
  const judged = deferred<void>();
  const { client } = await ground.serve({
    Echo: unary(text, async (message, { signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      heard.resolve(signal.reason);
      // Either side may notice the deadline first: an answer now could still arrive before the client's own end.
      await judged.promise;
      return message;
    }),
  });
  const call = client.call(echo, '', { deadline: Date.now() + 50, sendDeadline: true });
  await expect(call).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  judged.resolve();
  await expect(heard.promise).resolves.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
});

test('a handler hears that its client is gone', async () => {
  const started = deferred<void>();
  const heard = deferred<unknown>();
  const { client } = await ground.serve({
    Echo: unary(text, async (message, { signal }) => {
      signal.addEventListener('abort', () => heard.resolve(signal.reason));
      started.resolve();
      await heard.promise;
      return message;
    }),
  });
  const call = client.call(echo, '');
  await started.promise;
  client.close();
  await expect(call).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(heard.promise).resolves.toMatchObject({ code: 'UNAVAILABLE' });
});

test('a caller that gives up is CANCELLED and the late answer disturbs nobody', async () => {
  const gate = deferred<string>();
  const { client } = await ground.serve({
    Echo: unary(text, (message) => (message === 'slow' ? gate.promise : message)),
  });
  const controller = new AbortController();
  const slow = client.call(echo, 'slow', { signal: controller.signal });
  controller.abort();
  await expect(slow).rejects.toMatchObject({ code: 'CANCELLED' });
  gate.resolve('late');
  expect(await client.call(echo, 'next')).toBe('next');
  await expect.poll(() => client.ignoredFrames).toBe(1);
  await expect(client.call(echo, '', { signal: controller.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
  await expect(client.call(echo, '', { deadline: 1 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
});

test('a hundred calls on one signal are all CANCELLED, without a warning of a leak', async () => {
  const warnings: string[] = [];
  const onWarning = (warning: Error) => warnings.push(warning.name);
  process.on('warning', onWarning);
  ground.opened.push({ close: () => process.off('warning', onWarning) });
  const { client } = await ground.serve({ Echo: unary(text, () => new Promise<string>(() => undefined)) });
  const controller = new AbortController();
  const calls = Array.from({ length: 100 }, () => client.call(echo, '', { signal: controller.signal }));
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort();
  for (const result of await Promise.allSettled(calls)) expect(result).toMatchObject({ reason: { code: 'CANCELLED' } });
  expect(warnings).toEqual([]);
});

test('when the server closes, pending calls reject with UNAVAILABLE and later ones too', async () => {
  const { server, client } = await ground.serve({ Echo: unary(text, () => new Promise<string>(() => undefined)) });
  const calls = [client.call(echo, '1'), client.call(echo, '2')];
  const settled = Promise.allSettled(calls);
  await server.close();
  for (const result of await settled) expect(result).toMatchObject({ reason: { code: 'UNAVAILABLE' } });
  await expect(client.closed).resolves.toBeInstanceOf(TaskError);
  expect(client.isOpen).toBe(false);
  await expect(client.call(echo, '')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('a call that closes the server is answered, and so is one that fails because of it', async () => {
  const closing: Promise<void>[] = [];
  const { server, client } = await ground.serve({
    Echo: unary(text, (message) => {
      closing.push(server.close());
      return message;
    }),
    Wait: unary(text, async (message, { signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throw signal.reason ?? new Error(message);
    }),
  });
  const waiting = Promise.allSettled([client.call(method('Wait'), '')]);
  expect(await client.call(echo, 'bye')).toBe('bye');
  expect((await waiting)[0]).toMatchObject({
    reason: { code: 'UNAVAILABLE', message: 'the server is closing' },
  });
  await Promise.all(closing);
  expect(server.connectionCount).toBe(0);
});

test('more unanswered calls than the server allows are refused, the others are not harmed', async () => {
  const gate = deferred<string>();
  const { client } = await ground.serve({ Echo: unary(text, () => gate.promise) }, { maxInFlight: 2 });
  const allowed = [client.call(echo, ''), client.call(echo, '')];
  await expect(client.call(echo, '')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  gate.resolve('done');
  expect(await Promise.all(allowed)).toEqual(['done', 'done']);
});

test('a client whose stream ids are used up says so and finishes what is pending', async () => {
  await ground.serve({ Echo: echoing });
  const client = await ground.dial({ firstStream: 0xffff_ffff });
  expect(await client.call(echo, 'last')).toBe('last');
  await expect(client.call(echo, '')).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('stream ids'),
  });
});
