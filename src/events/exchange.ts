import { TaskError, unavailable } from '../shared/errors/index.ts';
import { BoundedQueue } from '../shared/util/bounded-queue.ts';
import { onAbort } from '../shared/util/on-abort.ts';
import { assertEnvelope, type Envelope } from './envelope.ts';
import { envelopeFields } from './envelope-fields.ts';
import type { EventTail } from './event-tail.ts';
import { type Adaptor, type Filter, parseFilters } from './filter/index.ts';

export type { Envelope };

export interface SubscribeOptions {
  /** In containerd's filter language; an envelope passes when one of them matches. Default: all pass. */
  readonly filters?: readonly string[] | undefined;
  /** Ends the subscription without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Unread envelopes, a large one counting once for every 4 KiB. Default 10,000. */
  readonly capacity?: number | undefined;
}

/**
 * How a subscription stands to an envelope: `own` where its filters ask for it and would not for the same of another
 * namespace, as those of a client do that runs the tasks of that namespace; `any` where they ask for it anyway.
 */
export type Interest = 'none' | 'any' | 'own';

/** One subscriber, as the rest of the daemon sees it. */
export interface Subscription {
  interest(envelope: Envelope): Interest;
  /** Hands it an envelope, whatever its filters say. */
  deliver(envelope: Envelope): void;
}

/** No namespace is called this. */
const nowhere = '/';

const defaultCapacity = 10_000;
const bytesPerUnit = 4096;

export interface ExchangeOptions {
  /** Where every envelope is kept, before anybody is handed it. */
  readonly tail?: Pick<EventTail, 'append' | 'cursor'> | undefined;
}

/**
 * Hands every published envelope to every subscriber that wants it, in the order of publishing. Publishing never waits: a
 * subscriber that does not keep up reads what it has, then RESOURCE_EXHAUSTED, and never misses one in between.
 */
export class Exchange {
  readonly #tail: ExchangeOptions['tail'];
  readonly #subscribers = new Set<Subscriber>();
  readonly #subscribeListeners = new Set<(subscription: Subscription) => void>();
  readonly #publishListeners = new Set<(envelope: Envelope) => void>();
  #closed: TaskError | undefined;

  constructor(options: ExchangeOptions = {}) {
    this.#tail = options.tail;
  }

  get subscriberCount(): number {
    return this.#subscribers.size;
  }

  /** Of the latest envelope that is kept; undefined where none is. */
  get cursor(): number | undefined {
    return this.#tail?.cursor;
  }

  /** Throws INVALID_ARGUMENT for a namespace or topic that is none. After `close` it is kept, and nobody is handed it. */
  publish(envelope: Envelope): void {
    this.record(envelope);
    this.deliver(envelope);
    for (const listener of this.#publishListeners) listener(envelope);
  }

  /** Calls `listener`, which must be quick and not throw, with each envelope once it is published; returns what ends that. */
  onPublish(listener: (envelope: Envelope) => void): () => void {
    this.#publishListeners.add(listener);
    return () => this.#publishListeners.delete(listener);
  }

  /** Keeps an envelope whose subscribers may come later: the first half of `publish`. Throws as it does. */
  record(envelope: Envelope): void {
    assertEnvelope(envelope);
    this.#tail?.append(envelope);
  }

  /** Hands a recorded envelope to the subscribers of now: the second half of `publish`. */
  deliver(envelope: Envelope): void {
    if (this.#subscribers.size === 0) return;
    const fields = envelopeFields(envelope);
    for (const subscriber of this.#subscribers) if (subscriber.wants(fields)) subscriber.deliver(envelope);
  }

  /** The subscribers of now. */
  subscriptions(): Iterable<Subscription> {
    return this.#subscribers;
  }

  /** Calls `listener` with each new subscription, before anything else is handed to it; returns what ends that. */
  onSubscribe(listener: (subscription: Subscription) => void): () => void {
    this.#subscribeListeners.add(listener);
    return () => this.#subscribeListeners.delete(listener);
  }

  /**
   * What is published from now on, not from the first read on. Leaving the loop, `return()` and the signal end the
   * subscription. Throws INVALID_ARGUMENT for a bad filter, UNAVAILABLE on a closed exchange.
   */
  subscribe(options: SubscribeOptions = {}): AsyncIterableIterator<Envelope> {
    const { filters = [], signal, capacity = defaultCapacity } = options;
    if (this.#closed !== undefined) throw this.#closed;
    const filter = parseFilters(filters);
    const queue = new BoundedQueue<Envelope>(capacity, () => {
      release();
      this.#subscribers.delete(subscriber);
    });
    const release = onAbort(signal, () => queue.cut());
    const subscriber = new Subscriber(filter, queue);
    this.#subscribers.add(subscriber);
    if (signal?.aborted) {
      queue.cut();
      return queue;
    }
    for (const listener of this.#subscribeListeners) listener(subscriber);
    return queue;
  }

  /**
   * Ends every subscription, once what it has is read, with UNAVAILABLE: a client that is told anything else
   * takes its stream for finished and does not come back.
   */
  close(reason: TaskError): void {
    this.#closed ??= reason.code === 'UNAVAILABLE' ? reason : unavailable(reason.message, reason);
    for (const subscriber of this.#subscribers) subscriber.end(this.#closed);
  }
}

class Subscriber implements Subscription {
  readonly #filter: Filter;
  readonly #queue: BoundedQueue<Envelope>;

  constructor(filter: Filter, queue: BoundedQueue<Envelope>) {
    this.#filter = filter;
    this.#queue = queue;
  }

  wants(fields: Adaptor): boolean {
    return this.#filter.match(fields);
  }

  interest(envelope: Envelope): Interest {
    if (!this.wants(envelopeFields(envelope))) return 'none';
    return this.wants(envelopeFields({ ...envelope, namespace: nowhere })) ? 'any' : 'own';
  }

  deliver(envelope: Envelope): void {
    const size = Math.max(1, Math.ceil(envelope.event.value.length / bytesPerUnit));
    if (!this.#queue.push(envelope, size)) this.#queue.end(tooSlow());
  }

  end(reason: TaskError): void {
    this.#queue.end(reason);
  }
}

function tooSlow(): TaskError {
  return new TaskError(
    'RESOURCE_EXHAUSTED',
    'event subscription: events come faster than they are read: subscribe again and list what was missed',
  );
}
