import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  createEventTail,
  type EventTail,
  Exchange,
  type TailEvent,
  type TailStart,
  taskStartEvent,
} from '../../../src/events/index.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import { timestampOf } from '../../../src/shared/wire/timestamp.ts';
import { EventLog } from '../../../src/store/event-log.ts';
import type { EventLogLimits } from '../../../src/store/event-segments.ts';

function openTail(limits: Partial<EventLogLimits> = {}): { tail: EventTail; directory: string } {
  const directory = mkdtempSync(path.join(tmpdir(), 'shimd-events-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return {
    tail: createEventTail(EventLog.open(directory, { logger: silentLogger, trusted: true, limits })),
    directory,
  };
}

function add(tail: EventTail, id: string, { namespace = 'ns', time = Date.now() } = {}): number {
  return tail.append({ timestamp: timestampOf(time), namespace, ...taskStartEvent({ containerId: id, pid: 7 }) });
}

const idOf = ({ envelope }: TailEvent): string => Buffer.from(envelope.event.value).subarray(2).toString().slice(0, -2);

async function all(tail: EventTail, from: TailStart, filters: string[] = []): Promise<string[]> {
  const ids: string[] = [];
  for await (const event of tail.read({ from, filters, follow: false })) ids.push(idOf(event));
  return ids;
}

const many = Array.from({ length: 1000 }, (_, i) => `t${i}`);

describe('a tail of events', () => {
  test('replays what is in memory and what is only in its files, in order, each once', async () => {
    const { tail } = openTail({ segmentEvents: 64, segments: 100 });
    const cursors = many.map((id) => add(tail, id));
    expect(await all(tail, { kind: 'oldest' })).toEqual(many);
    expect(await all(tail, { kind: 'after', cursor: cursors[99] ?? 0 })).toEqual(many.slice(100));
    expect(await all(tail, { kind: 'after', cursor: cursors[989] ?? 0 })).toEqual(many.slice(990));
    expect(await all(tail, { kind: 'now' })).toEqual([]);
  });

  test('begins with a time, and from there on goes by the order and not by the time', async () => {
    const { tail } = openTail();
    for (const [id, time] of [
      ['a', 1000],
      ['b', 2000],
      ['c', 1500],
      ['d', 3000],
    ] as const) {
      add(tail, id, { time });
    }
    expect(await all(tail, { kind: 'time', time: 2000 })).toEqual(['b', 'c', 'd']);
    expect(await all(tail, { kind: 'time', time: 1 })).toEqual(['a', 'b', 'c', 'd']);
    expect(await all(tail, { kind: 'time', time: 5000 })).toEqual([]);
  });

  test('shows what its filters match', async () => {
    const { tail } = openTail();
    add(tail, 'a', { namespace: 'one' });
    add(tail, 'b', { namespace: 'two' });
    expect(await all(tail, { kind: 'oldest' }, ['namespace==two'])).toEqual(['b']);
    expect(await all(tail, { kind: 'oldest' }, ['event.container_id==a', 'namespace==two'])).toEqual(['a', 'b']);
    expect(() => tail.read({ from: { kind: 'oldest' }, filters: ['=='] })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  test('refuses a cursor whose next event is gone with OUT_OF_RANGE, and tells where to go on', () => {
    const { tail } = openTail({ segmentEvents: 100, segments: 2 });
    const cursors = many.map((id) => add(tail, id));
    const read = (cursor: number) => () => tail.read({ from: { kind: 'after', cursor } });
    expect(read(cursors[0] ?? 0)).toThrow(
      expect.objectContaining({ code: 'OUT_OF_RANGE', message: expect.stringContaining(`after ${tail.before}`) }),
    );
    expect(read(12)).toThrow(/list the tasks/);
    expect(read(tail.before)).not.toThrow();
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53])(
    'refuses %d, which no event has as cursor, with INVALID_ARGUMENT',
    (cursor) => {
      const { tail } = openTail();
      expect(() => tail.read({ from: { kind: 'after', cursor } })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    },
  );

  test('tells a reader that falls behind what is kept so, and ends', async () => {
    const { tail } = openTail({ segmentEvents: 100, segments: 2 });
    const events = tail.read({ from: { kind: 'now' } });
    for (const id of many) add(tail, id);
    await expect(events.next()).rejects.toMatchObject({
      code: 'OUT_OF_RANGE',
      message: expect.stringContaining('faster than they are read'),
    });
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });

  test('follows from what is in the files to what happens, without a gap', async () => {
    const { tail } = openTail();
    for (const id of many) add(tail, id);
    const seen: string[] = [];
    let more = 0;
    for await (const event of tail.read({ from: { kind: 'oldest' } })) {
      seen.push(idOf(event));
      // Publishing goes on all the while.
      if (more < 500) add(tail, `m${more++}`);
      if (seen.length === 1500) break;
    }
    expect(seen).toEqual([...many, ...Array.from({ length: 500 }, (_, i) => `m${i}`)]);
  });

  test('goes on for those who follow where nothing can be written', async () => {
    const { tail, directory } = openTail();
    const events = tail.read({ from: { kind: 'now' } });
    const before = add(tail, 'a');
    rmSync(directory, { recursive: true });
    // The open file still takes events; the next file cannot be made.
    for (let i = 0; i < 9000; i++) add(tail, 'x');
    add(tail, 'b');
    await expect(events.next()).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    const next = tail.read({ from: { kind: 'now' } });
    const cursor = add(tail, 'c');
    expect((await next.next()).value).toMatchObject({ cursor });
    expect(() => tail.read({ from: { kind: 'after', cursor: before } })).toThrow(/not kept any more/);
  });

  test('ends for a signal and for return, also while it waits', async () => {
    const { tail } = openTail();
    const stop = new AbortController();
    const next = tail.read({ from: { kind: 'now' }, signal: stop.signal }).next();
    stop.abort();
    expect(await next).toEqual({ done: true, value: undefined });
    const late = tail.read({ from: { kind: 'oldest' }, signal: stop.signal });
    expect(await late.next()).toEqual({ done: true, value: undefined });
    const events = tail.read({ from: { kind: 'now' } });
    const pending = events.next();
    await events.return?.();
    expect(await pending).toEqual({ done: true, value: undefined });
  });

  test('gives readers what is there when it is closed, then UNAVAILABLE', async () => {
    const { tail } = openTail();
    const events = tail.read({ from: { kind: 'now' } });
    add(tail, 'a');
    tail.close();
    expect((await events.next()).done).toBe(false);
    await expect(events.next()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('gives two reads at a time two events', async () => {
    const { tail } = openTail();
    const events = tail.read({ from: { kind: 'now' } });
    const both = Promise.all([events.next(), events.next()]);
    const cursors = [add(tail, 'a'), add(tail, 'b')];
    expect((await both).map(({ value }) => value?.cursor)).toEqual(cursors);
  });

  test('has what an exchange publishes, also what nobody was handed yet, and nothing that is not valid', async () => {
    const { tail } = openTail();
    const exchange = new Exchange({ tail });
    const envelope = { timestamp: timestampOf(1), namespace: 'ns', ...taskStartEvent({ containerId: 'a', pid: 7 }) };
    exchange.publish(envelope);
    exchange.record({ ...envelope, ...taskStartEvent({ containerId: 'b', pid: 7 }) });
    expect(() => exchange.publish({ ...envelope, topic: 'tasks' })).toThrow(/must start with/);
    expect(await all(tail, { kind: 'oldest' })).toEqual(['a', 'b']);
  });
});
