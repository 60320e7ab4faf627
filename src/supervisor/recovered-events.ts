import type { Envelope, Exchange } from '../events/index.ts';
import type { TaskRef } from '../shared/identifiers.ts';

/** The part of the exchange that the supervisor uses. */
export type EventSink = Pick<Exchange, 'publish' | 'hasSubscriberFor' | 'onSubscribe'>;

interface Held {
  readonly ref: TaskRef;
  readonly envelope: Envelope;
}

/**
 * Exits that happened while the daemon was down, kept until somebody listens: a client may take a minute to come back.
 * Each goes to whoever listens first, once; it is dropped with its task. There are never more than tasks.
 */
export class RecoveredEvents {
  readonly #sink: EventSink;
  #held: Held[] = [];
  #stopListening: (() => void) | undefined;

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  get size(): number {
    return this.#held.length;
  }

  add(ref: TaskRef, envelope: Envelope): void {
    this.#held.push({ ref, envelope });
    this.#stopListening ??= this.#sink.onSubscribe(() => this.#flush());
    this.#flush();
  }

  /** The task was deleted, or its id is created again. */
  drop(ref: TaskRef): void {
    if (this.#held.length === 0) return;
    this.#keep(({ ref: held }) => held.namespace !== ref.namespace || held.task !== ref.task);
  }

  close(): void {
    this.#keep(() => false);
  }

  #flush(): void {
    this.#keep(({ envelope }) => {
      if (!this.#sink.hasSubscriberFor(envelope)) return true;
      this.#sink.publish(envelope);
      return false;
    });
  }

  #keep(wanted: (held: Held) => boolean): void {
    this.#held = this.#held.filter(wanted);
    if (this.#held.length > 0) return;
    this.#stopListening?.();
    this.#stopListening = undefined;
  }
}
