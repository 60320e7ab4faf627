import type { Envelope, Exchange, Subscription } from '../events/index.ts';

/** The part of the exchange that the supervisor uses. */
export type EventSink = Pick<Exchange, 'publish' | 'record' | 'subscriptions' | 'onSubscribe'>;

interface Held {
  /** What it is about. */
  readonly owner: string;
  readonly envelope: Envelope;
  /** When somebody who asks for any namespace had it first, in milliseconds. */
  seen: number | undefined;
}

export interface RecoveredEventsOptions {
  /** How long an event is kept for the client that it matters to after somebody else has had it, in milliseconds. Default 60,000. */
  readonly patience?: number;
  /** Milliseconds; default `performance.now`. */
  readonly now?: () => number;
}

/**
 * Exits that happened while the daemon was down, kept until the client is back that they matter to: Docker may take a
 * minute, and takes a container for running until it has had its exit. That client is one that asks for this
 * namespace alone. Who watches everything has them too, each subscription once, but does not take them away from it.
 * An event is dropped with its task or sandbox, so there are never more than those. Who reads from a cursor has them from
 * the start: they are recorded at once.
 */
export class RecoveredEvents {
  readonly #sink: EventSink;
  readonly #patience: number;
  readonly #now: () => number;
  #held: Held[] = [];
  #stopListening: (() => void) | undefined;

  constructor(sink: EventSink, options: RecoveredEventsOptions = {}) {
    this.#sink = sink;
    this.#patience = options.patience ?? 60_000;
    this.#now = options.now ?? (() => performance.now());
  }

  get size(): number {
    return this.#held.length;
  }

  add(owner: string, envelope: Envelope): void {
    this.#sink.record(envelope);
    const held: Held = { owner, envelope, seen: undefined };
    let taken = false;
    for (const subscription of this.#sink.subscriptions()) taken = this.#offer(held, subscription) || taken;
    if (taken) return;
    this.#held.push(held);
    this.#stopListening ??= this.#sink.onSubscribe((subscription) =>
      this.#keep((one) => !this.#isOver(one) && !this.#offer(one, subscription)),
    );
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

  /** True where it need not be kept for anybody else. */
  #offer(held: Held, subscription: Subscription): boolean {
    const interest = subscription.interest(held.envelope);
    if (interest === 'none') return false;
    subscription.deliver(held.envelope);
    held.seen ??= this.#now();
    return interest === 'own';
  }

  #isOver({ seen }: Held): boolean {
    return seen !== undefined && this.#now() - seen > this.#patience;
  }

  #keep(wanted: (held: Held) => boolean): void {
    if (this.#held.length === 0) return;
    this.#held = this.#held.filter(wanted);
    if (this.#held.length > 0) return;
    this.#stopListening?.();
    this.#stopListening = undefined;
  }
}
