import { expect, test } from 'vitest';
import { taskExitEvent, taskStartEvent } from '../../../src/events/index.ts';
import { EventTail } from '../../../src/library/event-tail.ts';

const at = { seconds: 1_700_000_000, nanos: 0 };

function started(tail: EventTail, id: string, namespace = 'ns'): void {
  tail.publish({ timestamp: at, namespace, ...taskStartEvent({ containerId: id, pid: 7 }) });
}

/** The tasks of the next `count` events. */
async function take(events: AsyncIterableIterator<unknown>, count: number): Promise<unknown[]> {
  const taken: unknown[] = [];
  while (taken.length < count) {
    const { value } = (await events.next()) as { value: { task: string } };
    taken.push(value.task);
  }
  return taken;
}

test('an event says what happened, to what and when', async () => {
  const tail = new EventTail({ namespace: 'ns', origin: 0 });
  const exit = { containerId: 'a', id: 'e', pid: 7, exitStatus: 3, exitedAt: at };
  tail.publish({ timestamp: at, namespace: 'ns', ...taskExitEvent(exit) });
  const { value } = await tail.read('oldest', undefined).next();
  const time = new Date(1_700_000_000_000);
  expect(value).toEqual({
    cursor: 1,
    time,
    topic: '/tasks/exit',
    type: 'exit',
    task: 'a',
    exec: 'e',
    pid: 7,
    status: 3,
    exitedAt: time,
  });
});

test('reading from a cursor replays what came after it and goes on with what happens', async () => {
  const tail = new EventTail({ namespace: 'ns', origin: 0 });
  started(tail, 'a');
  const since = tail.cursor;
  started(tail, 'b');
  const events = tail.read(since, undefined);
  started(tail, 'c');
  expect(await take(events, 2)).toEqual(['b', 'c']);
  const next = take(events, 1);
  started(tail, 'd');
  expect(await next).toEqual(['d']);
});

test('without a cursor only what happens after the call is read', async () => {
  const tail = new EventTail({ namespace: 'ns' });
  started(tail, 'a');
  const events = tail.read(undefined, undefined);
  started(tail, 'b');
  expect(await take(events, 1)).toEqual(['b']);
});

test('events of other namespaces are not shown', async () => {
  const tail = new EventTail({ namespace: 'ns' });
  started(tail, 'a', 'other');
  started(tail, 'b');
  expect(await take(tail.read('oldest', undefined), 1)).toEqual(['b']);
});

test('a cursor whose events are gone is refused with OUT_OF_RANGE, that of an earlier run too', () => {
  const tail = new EventTail({ namespace: 'ns', capacity: 2, origin: 1000 });
  for (const id of ['a', 'b', 'c']) started(tail, id);
  expect(() => tail.read(1000, undefined)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
  expect(() => tail.read(12, undefined)).toThrow(/list the tasks/);
  expect(() => tail.read(1001, undefined)).not.toThrow();
});

test('a cursor that no event has had is refused with INVALID_ARGUMENT', () => {
  const tail = new EventTail({ namespace: 'ns', origin: 1000 });
  for (const cursor of [1001, -1, 0.5, Number.NaN]) {
    expect(() => tail.read(cursor, undefined)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  }
});

test('cursors of a run are above those of the runs before it', async () => {
  const earlier = new EventTail({ namespace: 'ns' });
  for (let index = 0; index < 100; index += 1) started(earlier, 'a');
  await new Promise((resolve) => setTimeout(resolve, 2));
  expect(new EventTail({ namespace: 'ns' }).cursor).toBeGreaterThan(earlier.cursor);
});

test('the oldest events that are kept can be read when more have gone by', async () => {
  const tail = new EventTail({ namespace: 'ns', capacity: 2 });
  for (const id of ['a', 'b', 'c', 'd', 'e']) started(tail, id);
  expect(await take(tail.read('oldest', undefined), 2)).toEqual(['d', 'e']);
});

test('a reader that falls behind what is kept gets OUT_OF_RANGE, then the end', async () => {
  const tail = new EventTail({ namespace: 'ns', capacity: 2 });
  const events = tail.read(undefined, undefined);
  for (const id of ['a', 'b', 'c']) started(tail, id);
  await expect(events.next()).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
  expect(await events.next()).toEqual({ done: true, value: undefined });
});

test('a signal ends a read that waits, without an error', async () => {
  const tail = new EventTail({ namespace: 'ns' });
  const stop = new AbortController();
  const next = tail.read(undefined, stop.signal).next();
  stop.abort();
  expect(await next).toEqual({ done: true, value: undefined });
  expect(await tail.read(undefined, stop.signal).next()).toEqual({ done: true, value: undefined });
});

test('return ends a read that waits', async () => {
  const tail = new EventTail({ namespace: 'ns' });
  const events = tail.read(undefined, undefined);
  const next = events.next();
  await events.return?.();
  expect(await next).toEqual({ done: true, value: undefined });
});

test('two reads at a time get two events', async () => {
  const tail = new EventTail({ namespace: 'ns' });
  const events = tail.read(undefined, undefined);
  const both = Promise.all([take(events, 1), take(events, 1)]);
  started(tail, 'a');
  started(tail, 'b');
  expect(await both).toEqual([['a'], ['b']]);
});

test('closing lets readers have what is there, then UNAVAILABLE', async () => {
  const tail = new EventTail({ namespace: 'ns' });
  const events = tail.read(undefined, undefined);
  started(tail, 'a');
  tail.close();
  expect(await take(events, 1)).toEqual(['a']);
  await expect(events.next()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('what a shim tells in a type that is not known comes as its bytes, without them where they are many', async () => {
  const tail = new EventTail({ namespace: 'ns' });
  const tell = (value: Uint8Array) =>
    tail.publish({ timestamp: at, namespace: 'ns', topic: '/x/y', event: { typeUrl: 'x.Y', value } });
  tell(Buffer.from([1, 2]));
  tell(new Uint8Array(5000));
  const events = tail.read('oldest', undefined);
  expect((await events.next()).value).toMatchObject({ type: 'other', topic: '/x/y', typeUrl: 'x.Y' });
  expect((await events.next()).value).toMatchObject({ type: 'other', value: new Uint8Array() });
});
