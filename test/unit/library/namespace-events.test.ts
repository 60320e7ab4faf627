import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createEventTail, type EventTail, taskExitEvent, taskStartEvent } from '../../../src/events/index.ts';
import { namespaceEvents } from '../../../src/library/namespace-events.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import { EventLog } from '../../../src/store/event-log.ts';

const at = { seconds: 1_700_000_000, nanos: 0 };

function openTail(): EventTail {
  const directory = mkdtempSync(path.join(tmpdir(), 'shimd-events-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return createEventTail(EventLog.open(directory, { logger: silentLogger, trusted: true }));
}

function started(tail: EventTail, id: string, namespace = 'ns'): void {
  tail.append({ timestamp: at, namespace, ...taskStartEvent({ containerId: id, pid: 7 }) });
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
  const tail = openTail();
  const exit = { containerId: 'a', id: 'e', pid: 7, exitStatus: 3, exitedAt: at };
  const cursor = tail.append({ timestamp: at, namespace: 'ns', ...taskExitEvent(exit) });
  const { value } = await namespaceEvents(tail, 'ns', 'oldest', undefined).next();
  const time = new Date(1_700_000_000_000);
  expect(value).toEqual({
    cursor,
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
  const tail = openTail();
  started(tail, 'a');
  const since = tail.cursor;
  started(tail, 'b');
  const events = namespaceEvents(tail, 'ns', since, undefined);
  started(tail, 'c');
  expect(await take(events, 2)).toEqual(['b', 'c']);
  const next = take(events, 1);
  started(tail, 'd');
  expect(await next).toEqual(['d']);
});

test('without a cursor only what happens after the call is read', async () => {
  const tail = openTail();
  started(tail, 'a');
  const events = namespaceEvents(tail, 'ns', undefined, undefined);
  started(tail, 'b');
  expect(await take(events, 1)).toEqual(['b']);
});

test('events of other namespaces are not shown', async () => {
  const tail = openTail();
  started(tail, 'a', 'other');
  started(tail, 'b');
  expect(await take(namespaceEvents(tail, 'ns', 'oldest', undefined), 1)).toEqual(['b']);
});

test('what a shim tells in a type that is not known comes as its bytes, without them where they are many', async () => {
  const tail = openTail();
  const tell = (value: Uint8Array) =>
    tail.append({ timestamp: at, namespace: 'ns', topic: '/x/y', event: { typeUrl: 'x.Y', value } });
  tell(Buffer.from([1, 2]));
  tell(new Uint8Array(5000));
  const events = namespaceEvents(tail, 'ns', 'oldest', undefined);
  expect((await events.next()).value).toMatchObject({ type: 'other', topic: '/x/y', typeUrl: 'x.Y' });
  expect((await events.next()).value).toMatchObject({ type: 'other', value: new Uint8Array() });
});
