import { describe, expect, test } from 'vitest';
import type { Envelope } from '../../../src/events/envelope.ts';
import { Exchange } from '../../../src/events/exchange.ts';
import {
  containerCreateEvent,
  containerUpdateEvent,
  type TopicEvent,
  taskCreateEvent,
  taskExecStartedEvent,
  taskExitEvent,
  taskStartEvent,
} from '../../../src/events/topics.ts';
import { TaskError, unavailable } from '../../../src/shared/errors/index.ts';
import { timestampNow } from '../../../src/shared/wire/timestamp.ts';

function envelope(event: TopicEvent, namespace = 'default'): Envelope {
  return { timestamp: timestampNow(), namespace, ...event };
}

const started = (containerId: string) => envelope(taskStartEvent({ containerId, pid: 1 }));
const exited = (containerId: string, id = containerId) =>
  envelope(taskExitEvent({ containerId, id, pid: 1, exitStatus: 0, exitedAt: timestampNow() }));

async function take(events: AsyncIterableIterator<Envelope>, count: number): Promise<Envelope[]> {
  const taken: Envelope[] = [];
  while (taken.length < count) {
    const { value, done } = await events.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

test('every subscriber gets every envelope in the order of publishing, from subscribing on', async () => {
  const exchange = new Exchange();
  exchange.publish(started('before'));
  const [one, other] = [exchange.subscribe(), exchange.subscribe()];
  const published = Array.from({ length: 3000 }, (_, number) => started(`task${number}`));
  const early = take(one, 3000);
  for (const next of published) exchange.publish(next);
  expect(await early).toEqual(published);
  expect(await take(other, 3000)).toEqual(published);
});

describe('a filter sees', () => {
  const create = envelope(
    taskCreateEvent({
      containerId: 'web',
      bundle: '/run/b',
      rootfs: [{ type: 'bind', source: '/a', target: '', options: ['ro'] }],
      io: { stdin: '', stdout: '/run/out', stderr: '', terminal: false },
      pid: 7,
    }),
  );
  const update = envelope(
    containerUpdateEvent({ id: 'web', image: 'busybox', labels: { 'a.b': 'c' }, snapshotKey: 'snap' }),
    'other',
  );
  const container = envelope(
    containerCreateEvent({
      id: 'web',
      image: 'busybox',
      runtime: { name: 'io.containerd.runc.v2', options: { typeUrl: 'x', value: new Uint8Array([1]) } },
    }),
  );
  const execStarted = envelope(taskExecStartedEvent({ containerId: 'web', execId: 'sh', pid: 8 }));
  const all = [create, update, container, execStarted, started('db'), exited('db')];

  test.each([
    ['topic=="/tasks/start"', [started('db').topic]],
    ['namespace==default,topic~=|^/tasks/|', ['/tasks/create', '/tasks/exec-started', '/tasks/start', '/tasks/exit']],
    ['namespace==other', ['/containers/update']],
    ['namespace!=default', ['/containers/update']],
    ['event.container_id==web', ['/tasks/create', '/tasks/exec-started']],
    ['event.exec_id', ['/tasks/exec-started']],
    ['event.io.stdout=="/run/out"', ['/tasks/create']],
    ['event.runtime.name~=runc', ['/containers/create']],
    ['event.labels."a.b"==c', ['/containers/update']],
    ['event.labels.a.b==c', ['/containers/update']],
    ['event.snapshot_key==snap', ['/containers/update']],
    ['event.containerId', []],
    ['event.pid', []],
    ['event.constructor', []],
    ['event', []],
    ['timestamp', []],
  ])('%s', async (filter, expected) => {
    const exchange = new Exchange();
    const queue = exchange.subscribe({ filters: [filter] });
    const [subscription] = exchange.subscriptions();
    const wanted = all.filter((candidate) => subscription?.interest(candidate) !== 'none');
    for (const next of all) exchange.publish(next);
    exchange.close(unavailable('over'));
    expect(wanted.map(({ topic }) => topic)).toEqual(expected);
    expect(await take(queue, expected.length)).toEqual(wanted);
  });

  test('the first and any other of several alternatives', async () => {
    const exchange = new Exchange();
    const queue = exchange.subscribe({ filters: ['topic~=exit', 'namespace==other'] });
    for (const next of all) exchange.publish(next);
    expect((await take(queue, 2)).map(({ topic }) => topic)).toEqual(['/containers/update', '/tasks/exit']);
  });

  test('nothing of an event of an unknown type or with bytes that are rubbish', () => {
    const exchange = new Exchange();
    exchange.subscribe({ filters: ['event.container_id'] });
    const rubbish = { ...started('x'), event: { typeUrl: 'containerd.events.TaskStart', value: Buffer.from([255]) } };
    const unknown = { ...started('x'), event: { typeUrl: 'acme.Event', value: started('x').event.value } };
    const prefixed = {
      ...started('x'),
      event: { ...started('x').event, typeUrl: 'type.googleapis.com/containerd.events.TaskStart' },
    };
    const [subscription] = exchange.subscriptions();
    const interests = [rubbish, unknown, prefixed].map((candidate) => subscription?.interest(candidate));
    expect(interests).toEqual(['none', 'none', 'any']);
  });
});

test.each(['', 'tasks/start', '/', '//', '/tasks/', '/tasks/a b', '/../x'])('the topic %j is refused', (topic) => {
  const exchange = new Exchange();
  expect(() => exchange.publish({ ...started('x'), topic })).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('envelope topic') }),
  );
});

test('a topic without a slash and a bad namespace are refused in the words of containerd', () => {
  const exchange = new Exchange();
  expect(() => exchange.publish({ ...started('x'), topic: 'a' })).toThrow("must start with '/': invalid argument");
  expect(() => exchange.publish({ ...started('x'), namespace: '../x' })).toThrow('invalid namespace');
});

test('a bad filter is refused at once and leaves no subscriber', () => {
  const exchange = new Exchange();
  expect(() => exchange.subscribe({ filters: ['a=b'] })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  expect(exchange.subscriberCount).toBe(0);
});

test('a slow subscriber reads all it has without a gap, then RESOURCE_EXHAUSTED; the others miss nothing', async () => {
  const exchange = new Exchange();
  const slow = exchange.subscribe({ capacity: 10 });
  const fast = exchange.subscribe({ capacity: 100 });
  const published = Array.from({ length: 50 }, (_, number) => started(`task${number}`));
  for (const next of published) exchange.publish(next);
  expect(exchange.subscriberCount).toBe(1);
  expect(await take(slow, 10)).toEqual(published.slice(0, 10));
  await expect(slow.next()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  expect(await slow.next()).toEqual({ done: true, value: undefined });
  expect(await take(fast, 50)).toEqual(published);
});

test('large envelopes fill a queue sooner', async () => {
  const exchange = new Exchange();
  const queue = exchange.subscribe({ capacity: 10 });
  const large = { ...started('x'), event: { typeUrl: 'acme.Large', value: new Uint8Array(4096 * 4) } };
  for (let published = 0; published < 3; published += 1) exchange.publish(large);
  expect(await take(queue, 2)).toHaveLength(2);
  await expect(queue.next()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
});

test('close ends every stream with UNAVAILABLE, whatever the reason given, after what was published', async () => {
  const exchange = new Exchange();
  const queue = exchange.subscribe();
  const waiting = exchange.subscribe({ filters: ['topic=="/nothing"'] });
  const settled = Promise.allSettled([waiting.next()]);
  exchange.publish(started('last'));
  exchange.close(new TaskError('CANCELLED', 'the daemon stops'));
  expect((await settled)[0]).toMatchObject({ reason: { code: 'UNAVAILABLE', message: 'the daemon stops' } });
  expect(await take(queue, 1)).toHaveLength(1);
  await expect(queue.next()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(exchange.subscriberCount).toBe(0);
  expect(() => exchange.subscribe()).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }));
  expect(() => exchange.publish(started('late'))).not.toThrow();
});

describe('nothing is left of a subscription', () => {
  test('whose loop is left', async () => {
    const exchange = new Exchange();
    const queue = exchange.subscribe();
    exchange.publish(started('x'));
    for await (const { topic } of queue) {
      expect(topic).toBe('/tasks/start');
      break;
    }
    expect(exchange.subscriberCount).toBe(0);
  });

  test('that was returned before it was read, with a reader waiting', async () => {
    const exchange = new Exchange();
    const queue = exchange.subscribe();
    const waiting = queue.next();
    await queue.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(exchange.subscriberCount).toBe(0);
  });

  test('whose signal aborts, before or while it is read', async () => {
    const exchange = new Exchange();
    const controller = new AbortController();
    const queue = exchange.subscribe({ signal: controller.signal });
    const waiting = queue.next();
    controller.abort();
    expect(await waiting).toEqual({ done: true, value: undefined });
    const dead = exchange.subscribe({ signal: controller.signal });
    exchange.publish(started('x'));
    expect(await dead.next()).toEqual({ done: true, value: undefined });
    expect(exchange.subscriberCount).toBe(0);
  });
});

test.each([
  [['namespace==default'], 'own'],
  [['namespace==default,topic~=|^/tasks/|'], 'own'],
  [['topic~=|^/tasks/|'], 'any'],
  [[], 'any'],
  [['namespace==default', 'topic~=|^/tasks/|'], 'any'],
  [['namespace==other'], 'none'],
  [['namespace!=other'], 'any'],
])(
  'a subscription with the filters %j has the interest %s in an event of the namespace default',
  (filters, interest) => {
    const exchange = new Exchange();
    exchange.subscribe({ filters });
    const [subscription] = exchange.subscriptions();
    expect(subscription?.interest({ ...started('x'), namespace: 'default' })).toBe(interest);
  },
);

test('a listener hears of new subscriptions until it ends that, and may hand them something', async () => {
  const exchange = new Exchange();
  const stop = exchange.onSubscribe((subscription) => subscription.deliver(started('held')));
  const queue = exchange.subscribe();
  stop();
  exchange.subscribe();
  expect((await take(queue, 1))[0]?.topic).toBe('/tasks/start');
});
