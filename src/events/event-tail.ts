import { setImmediate } from 'node:timers/promises';
import { invalidArgument, TaskError, unavailable } from '../shared/errors/index.ts';
import { containerd } from '../shared/proto/gen/events.js';
import { onAbort } from '../shared/util/on-abort.ts';
import { unreachable } from '../shared/util/unreachable.ts';
import { plainAny, wireAny } from '../shared/wire/any.ts';
import { millisecondsOf, plainTimestamp, timestampOf } from '../shared/wire/timestamp.ts';
import type { Envelope } from './envelope.ts';
import { envelopeFields } from './envelope-fields.ts';
import { parseFilters } from './filter/index.ts';
import { RecentEvents } from './recent-events.ts';

const Message = containerd.types.Envelope;

/** What the tail is kept in; the store's event log. */
export interface EventLog<Position extends { readonly cursor: number }> {
  readonly last: number;
  /** Readers at this cursor and above miss nothing. */
  readonly before: number;
  append(value: Uint8Array): number;
  read(from: Position | { readonly cursor: number }): {
    readonly entries: readonly { readonly cursor: number; readonly value: Uint8Array }[];
    readonly next: Position | { readonly cursor: number };
  };
  assertKept(cursor: number): void;
}

/** An event and its place in the order of all events. */
export interface TailEvent {
  readonly cursor: number;
  readonly envelope: Envelope;
}

/** Where reading begins: after a cursor, with what happened at a time (milliseconds since 1970), or with the oldest that is kept. */
export type TailStart =
  | { readonly kind: 'after'; readonly cursor: number }
  | { readonly kind: 'time'; readonly time: number }
  | { readonly kind: 'oldest' }
  | { readonly kind: 'now' };

export interface TailOptions {
  readonly from: TailStart;
  /** As for `subscribe`. */
  readonly filters?: readonly string[] | undefined;
  /** False: ends with the latest event of now. Default true. */
  readonly follow?: boolean | undefined;
  /** Ends the reading without an error. */
  readonly signal?: AbortSignal | undefined;
}

/** What the owner of a tail reads and writes, whatever its log is. */
export interface EventTail {
  /** Of the latest event. */
  readonly cursor: number;
  /** Of the event before the oldest one that is kept. */
  readonly before: number;
  /** Keeps a valid envelope and answers its cursor. Never throws. */
  append(envelope: Envelope): number;
  /**
   * Throws INVALID_ARGUMENT for a cursor that was never given and for a bad filter. Reading throws OUT_OF_RANGE for a
   * cursor whose next event is not kept any more, where it begins or where the reader is too slow, and UNAVAILABLE
   * when the tail is closed.
   */
  read(options: TailOptions): AsyncIterableIterator<TailEvent, undefined>;
  /** Readers get what is there, then UNAVAILABLE. */
  close(reason?: TaskError): void;
}

/**
 * The latest events, in the order of their cursors. Readers have no queues of their own: each reads on from its cursor, and
 * one that fell behind the oldest event is told so.
 */
export function createEventTail<Position extends { readonly cursor: number }>(log: EventLog<Position>): EventTail {
  const recent = new RecentEvents();
  const waiting = new Set<() => void>();
  let closed: TaskError | undefined;

  const wake = () => {
    const woken = [...waiting];
    waiting.clear();
    for (const resolve of woken) resolve();
  };

  /** Cursor to begin after. */
  const startOf = (from: TailStart): number => {
    switch (from.kind) {
      case 'now':
        return log.last;
      case 'after':
        if (!Number.isSafeInteger(from.cursor) || from.cursor < 0 || from.cursor > log.last) {
          throw invalidArgument(`no event has the cursor ${from.cursor}: pass one that an event had: invalid argument`);
        }
        return from.cursor;
      case 'oldest':
      case 'time':
        return log.before;
      default:
        return unreachable(from);
    }
  };

  async function* walk(options: TailOptions, begin: number, signal: AbortSignal): AsyncGenerator<TailEvent, undefined> {
    const { from, filters = [], follow = true } = options;
    const filter = parseFilters(filters);
    let since = from.kind === 'time' ? from.time : Number.NEGATIVE_INFINITY;
    const until = follow ? Number.POSITIVE_INFINITY : log.last;
    let position: Position | { readonly cursor: number } = { cursor: begin };
    const release = onAbort(signal, wake);
    try {
      while (position.cursor < until && !signal.aborted) {
        if (position.cursor >= log.last) {
          if (closed !== undefined) throw closed;
          await new Promise<void>((resolve) => waiting.add(resolve));
          continue;
        }
        const batch = recent.after(position.cursor);
        const found: Batch<Position> = batch === undefined ? readLog(log, position) : batchOf(batch);
        for (const event of found.events) {
          if (event.cursor > until || signal.aborted) return undefined;
          if (millisecondsOf(event.envelope.timestamp) < since) continue;
          // The order is that of cursors: what comes later counts, whatever its time.
          since = Number.NEGATIVE_INFINITY;
          if (filter.match(envelopeFields(event.envelope))) yield event;
        }
        position = found.next;
        // A long way to go: others get their turn.
        if (batch === undefined) await setImmediate();
      }
      return undefined;
    } finally {
      release();
    }
  }

  return {
    get cursor() {
      return log.last;
    },
    get before() {
      return log.before;
    },
    append(envelope) {
      const cursor = log.append(encode(envelope));
      recent.add({ cursor, envelope });
      wake();
      return cursor;
    },
    read(options) {
      // Not at the first read: a bad filter is told at once, and "now" is the time of the call.
      parseFilters(options.filters ?? []);
      const begin = startOf(options.from);
      if (recent.after(begin) === undefined) log.assertKept(begin);
      const ended = new AbortController();
      const release = onAbort(options.signal, () => ended.abort());
      if (options.signal?.aborted) ended.abort();
      const events = walk(options, begin, ended.signal);
      const iterator: AsyncIterableIterator<TailEvent, undefined> = {
        next: async () => {
          try {
            const result = await events.next();
            if (result.done) release();
            return result;
          } catch (error) {
            release();
            throw error;
          }
        },
        // Also one that waits for its next event ends now.
        return: async () => {
          release();
          ended.abort();
          await events.return(undefined);
          return { done: true, value: undefined };
        },
        [Symbol.asyncIterator]: () => iterator,
      };
      return iterator;
    },
    close(reason = unavailable('events end here: the daemon is stopping')) {
      closed ??= reason;
      wake();
    },
  };
}

interface Batch<Position> {
  readonly events: readonly TailEvent[];
  readonly next: Position | { readonly cursor: number };
}

function readLog<Position extends { readonly cursor: number }>(
  log: EventLog<Position>,
  position: Position | { readonly cursor: number },
): Batch<Position> {
  if (position.cursor < log.before) {
    throw new TaskError(
      'OUT_OF_RANGE',
      `events come faster than they are read: those after cursor ${position.cursor} are not kept any more, only those after ${log.before}: list the tasks and go on from now`,
    );
  }
  const { entries, next } = log.read(position);
  return { events: entries.map(({ cursor, value }) => ({ cursor, envelope: decode(value) })), next };
}

function batchOf(events: readonly TailEvent[]): Batch<never> {
  return { events, next: { cursor: events.at(-1)?.cursor ?? 0 } };
}

function encode({ timestamp, namespace, topic, event }: Envelope): Uint8Array {
  return Message.encode({ timestamp, namespace, topic, event: wireAny(event) }).finish();
}

function decode(bytes: Uint8Array): Envelope {
  const { timestamp, namespace, topic, event } = Message.decode(bytes);
  return {
    timestamp: plainTimestamp(timestamp) ?? timestampOf(0),
    namespace,
    topic,
    event: plainAny(event) ?? { typeUrl: '', value: new Uint8Array() },
  };
}
