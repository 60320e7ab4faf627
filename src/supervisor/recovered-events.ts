import type { Envelope, Exchange, Interest, Subscription } from '../events/index.ts';

/** The part of the exchange that the supervisor uses. */
export type EventSink = Pick<Exchange, 'publish' | 'record' | 'deliver' | 'subscriptions' | 'onSubscribe' | 'cursor'>;

/** An event that somebody may be away for. */
export interface OwedEvent {
  /** What it is about. */
  readonly owner: string;
  readonly envelope: Envelope;
  /** Called once, when somebody who asks for any namespace has had it. */
  readonly onHeard?: () => void;
  /** Called once, when it need not be kept for anybody any more. */
  readonly onTold?: () => void;
}

interface Held extends OwedEvent {
  /** When somebody who asks for any namespace had it first, in milliseconds. */
  seen: number | undefined;
}

interface Wanting {
  readonly subscription: Subscription;
  readonly interest: Interest;
}

export interface RecoveredEventsOptions {
  /** How long an event is kept for the client that it matters to after somebody else has had it, in milliseconds. Default 60,000. */
  readonly patience?: number;
  /** Milliseconds; default `performance.now`. */
  readonly now?: () => number;
}

/**
 * Exits that happened while the daemon was down, or soon after its start, kept until the client is back that they matter
 * to: Docker may take a minute, and takes a container for running until it has had its exit. That client is one that asks
 * for this namespace alone. Of those who watch everything the first has them too, but does not take them away from it. An event is dropped with its task or sandbox, so there are never more than those. Who reads from a cursor has them
 * from the start: they are recorded at once.
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

  /** One that nobody has been handed yet. */
  add(event: OwedEvent): void {
    this.#sink.record(event.envelope);
    this.again(event);
  }

  /** One that an earlier daemon recorded, and that its client has not been told of; `heard` by somebody else, or not. */
  again(event: OwedEvent, heard = false): void {
    const held: Held = { ...event, seen: heard ? this.#now() : undefined };
    // All who are there now are the first.
    const wanting = this.#wanting(held);
    for (const { subscription } of wanting) subscription.deliver(held.envelope);
    this.#settle(held, wanting);
  }

  /** One that was published to the subscribers of now. */
  published(event: OwedEvent): void {
    const held: Held = { ...event, seen: undefined };
    this.#settle(held, this.#wanting(held));
  }

  #wanting({ envelope, seen }: Held): Wanting[] {
    return Array.from(this.#sink.subscriptions(), (subscription) => ({
      subscription,
      interest: subscription.interest(envelope),
    })).filter(({ interest }) => interest === 'own' || (interest === 'any' && seen === undefined));
  }

  #settle(held: Held, had: readonly Wanting[]): void {
    if (had.some(({ interest }) => interest === 'own')) {
      held.onTold?.();
      return;
    }
    if (had.length > 0) this.#heard(held);
    this.#hold(held);
  }

  #heard(held: Held): void {
    held.seen = this.#now();
    held.onHeard?.();
  }

  #hold(held: Held): void {
    this.#held.push(held);
    this.#stopListening ??= this.#sink.onSubscribe((subscription) =>
      this.#keep((one) => {
        const over = this.#isOver(one) || this.#offer(one, subscription);
        if (over) one.onTold?.();
        return !over;
      }),
    );
  }

  /** It was deleted, or its id is created again. */
  drop(owner: string): void {
    if (this.#held.length === 0) return;
    this.#keep((held) => held.owner !== owner);
  }

  /** The task is about to go, and not by a client who knows how it ended: now or never. */
  tell(owner: string): void {
    this.#keep(({ owner: held, envelope, seen, onTold }) => {
      if (held !== owner) return true;
      // Who is there and wants it has had it otherwise.
      if (seen === undefined) this.#sink.deliver(envelope);
      onTold?.();
      return false;
    });
  }

  close(): void {
    this.#keep(() => false);
  }

  /** True where it need not be kept for anybody else. */
  #offer(held: Held, subscription: Subscription): boolean {
    const interest = subscription.interest(held.envelope);
    if (interest === 'none' || (interest === 'any' && held.seen !== undefined)) return false;
    subscription.deliver(held.envelope);
    if (interest === 'any') this.#heard(held);
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
