import type { Envelope, Exchange } from '../events/index.ts';

/** The part of the exchange that the supervisor uses. */
export type EventSink = Pick<Exchange, 'publish' | 'record' | 'deliver' | 'hasSubscriberFor' | 'onSubscribe'>;

interface Held {
  /** What it is about. */
  readonly owner: string;
  readonly envelope: Envelope;
}

/**
 * Exits that happened while the daemon was down, kept until somebody listens: a client may take a minute to come back.
 * Each goes to whoever listens first, once; it is dropped with its task or sandbox. There are never more than those. Who
 * reads events from a cursor has them from the start: they are recorded at once.
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

  add(owner: string, envelope: Envelope): void {
    this.#sink.record(envelope);
    this.#held.push({ owner, envelope });
    this.#stopListening ??= this.#sink.onSubscribe(() => this.#flush());
    this.#flush();
  }

  /** It was deleted, or its id is created again. */
  drop(owner: string): void {
    if (this.#held.length === 0) return;
    this.#keep((held) => held.owner !== owner);
  }

  /** The task is about to go, and not by a client who knows how it ended: now or never. */
  tell(owner: string): void {
    this.#keep(({ owner: held, envelope }) => {
      if (held !== owner) return true;
      this.#sink.deliver(envelope);
      return false;
    });
  }

  close(): void {
    this.#keep(() => false);
  }

  #flush(): void {
    this.#keep(({ envelope }) => {
      if (!this.#sink.hasSubscriberFor(envelope)) return true;
      this.#sink.deliver(envelope);
      return false;
    });
  }

  #keep(wanted: (held: Held) => boolean): void {
    if (this.#held.length === 0) return;
    this.#held = this.#held.filter(wanted);
    if (this.#held.length > 0) return;
    this.#stopListening?.();
    this.#stopListening = undefined;
  }
}
