import type { Envelope } from '../events/index.ts';
import { invalidArgument, TaskError, unavailable } from '../shared/errors/index.ts';
import { onAbort } from '../shared/util/on-abort.ts';
import { readEvent } from './read-event.ts';
import type { TaskEvent } from './task-event.ts';

export interface EventTailOptions {
  readonly namespace: string;
  /** Events that are kept. Default 10 000. */
  readonly capacity?: number | undefined;
  /** Cursor of "nothing yet"; default: one above those of earlier runs. */
  readonly origin?: number | undefined;
}

/** Milliseconds since 1970 times this: no run has more events than fit between its start and the next one's. */
const cursorsPerMillisecond = 1000;

/**
 * The latest events of a namespace, in the order of their cursors, and where the supervisor publishes them. Readers have
 * no queues of their own: each reads on from its cursor, and one that fell behind the oldest event is told so.
 */
export class EventTail {
  readonly #namespace: string;
  readonly #capacity: number;
  /** The event with cursor c is at (c - origin) % capacity. */
  readonly #ring: TaskEvent[] = [];
  readonly #origin: number;
  readonly #waiting = new Set<() => void>();
  #cursor: number;
  #closed = false;

  constructor({ namespace, capacity = 10_000, origin = Date.now() * cursorsPerMillisecond }: EventTailOptions) {
    this.#namespace = namespace;
    this.#capacity = capacity;
    this.#origin = origin;
    this.#cursor = origin;
  }

  /** Of the latest event. */
  get cursor(): number {
    return this.#cursor;
  }

  publish(envelope: Envelope): void {
    if (envelope.namespace !== this.#namespace || this.#closed) return;
    this.#cursor += 1;
    this.#ring[this.#index(this.#cursor)] = readEvent(envelope, this.#cursor);
    this.#wake();
  }

  /** What happened while nobody supervised is kept here at once, for whoever asks. */
  hasSubscriberFor(): boolean {
    return true;
  }

  onSubscribe(): () => void {
    return () => undefined;
  }

  /**
   * Events after `since`, or from now on. Throws OUT_OF_RANGE for a cursor whose next event is not known any more, here
   * or, where the reader is too slow, from `next`; INVALID_ARGUMENT for one that was never given.
   */
  read(since: number | 'oldest' | undefined, signal: AbortSignal | undefined): AsyncIterableIterator<TaskEvent> {
    let position = since === undefined ? this.#cursor : since === 'oldest' ? this.#before() : since;
    if (!Number.isSafeInteger(position) || position < 0 || position > this.#cursor) {
      throw invalidArgument(`no event has the cursor ${position}: pass one that an event had: invalid argument`);
    }
    this.#assertKnown(position);
    let done = signal?.aborted === true;
    const finish = () => {
      done = true;
      release();
      this.#wake();
    };
    const release = onAbort(signal, finish);
    const advance = async (): Promise<IteratorResult<TaskEvent, undefined>> => {
      for (;;) {
        if (done) return { done: true, value: undefined };
        if (position < this.#cursor) break;
        if (this.#closed) {
          finish();
          throw unavailable('the supervisor is closed: events end here');
        }
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
      try {
        this.#assertKnown(position);
      } catch (error) {
        finish();
        throw error;
      }
      position += 1;
      const value = this.#ring[this.#index(position)];
      if (value === undefined) throw new Error(`event ${position} is missing`);
      return { done: false, value };
    };
    // One at a time: two calls of `next` in a row get two events.
    let turn: Promise<unknown> = Promise.resolve();
    const iterator: AsyncIterableIterator<TaskEvent> = {
      next: () => {
        const result = turn.then(advance);
        turn = result.catch(() => undefined);
        return result;
      },
      return: () => {
        finish();
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** Readers get what is there, then UNAVAILABLE. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #index(cursor: number): number {
    return (cursor - this.#origin) % this.#capacity;
  }

  /** The cursor before the oldest event. */
  #before(): number {
    return Math.max(this.#origin, this.#cursor - this.#capacity);
  }

  #assertKnown(position: number): void {
    if (position >= this.#before()) return;
    throw new TaskError(
      'OUT_OF_RANGE',
      `the events after cursor ${position} are not known any more, only those after ${this.#before()}: list the tasks and go on from now`,
    );
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}
