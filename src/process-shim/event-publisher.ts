import type { Logger } from '../shared/log/logger.ts';
import { containerd } from '../shared/proto/gen/events.js';
import { TtrpcClient, type UnaryMethod } from '../shared/ttrpc/index.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import { type Any, wireAny } from '../shared/wire/any.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';

type ForwardRequest = Parameters<typeof containerd.services.events.ttrpc.v1.ForwardRequest.encode>[0];

const forward: UnaryMethod<ForwardRequest, void> = {
  service: 'containerd.services.events.ttrpc.v1.Events',
  name: 'Forward',
  encode: (request) => containerd.services.events.ttrpc.v1.ForwardRequest.encode(request).finish(),
  decode: () => undefined,
};

/** Events that may wait; beyond it the oldest are dropped: whoever missed them asks with Wait and State. */
const capacity = 4096;
const callBudget = 5_000;
const firstPause = 100;
const longestPause = 5_000;

interface Queued {
  readonly topic: string;
  readonly event: Any;
  readonly timestamp: { readonly seconds: number; readonly nanos: number };
}

/** Forwards events to the daemon one at a time, in order. Publishing never waits, and a daemon that is gone holds up nothing. */
export class EventPublisher {
  readonly #address: string;
  readonly #namespace: string;
  readonly #logger: Logger;
  #queue: Queued[] = [];
  #client: TtrpcClient | undefined;
  #sending: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #closed = false;
  #dropped = 0;

  /** An empty `address` drops every event. */
  constructor(options: { readonly address: string; readonly namespace: string; readonly logger: Logger }) {
    this.#address = options.address;
    this.#namespace = options.namespace;
    this.#logger = options.logger;
  }

  publish(topic: string, event: Any): void {
    if (this.#address === '' || this.#closed) return;
    if (this.#queue.length >= capacity) {
      this.#queue.shift();
      this.#dropped++;
    }
    this.#queue.push({ topic, event, timestamp: timestampNow() });
    this.#sending ??= this.#send();
  }

  /** Sends what is queued, for at most `grace` milliseconds; the rest is dropped. */
  async close(grace: number): Promise<void> {
    this.#wake?.();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, grace);
    });
    await Promise.race([this.#sending, late]);
    clearTimeout(timer);
    this.#closed = true;
    this.#wake?.();
    this.#client?.close();
  }

  async #send(): Promise<void> {
    let pause = firstPause;
    while (!this.#closed) {
      const next = this.#queue[0];
      if (next === undefined) break;
      try {
        await this.#forward(next);
        if (this.#queue[0] === next) this.#queue.shift();
        pause = firstPause;
        if (this.#dropped > 0) this.#logger.warn('events dropped', { count: this.#dropped });
        this.#dropped = 0;
      } catch (error) {
        this.#logger.debug('event not forwarded', { topic: next.topic, error: String(error) });
        this.#client?.close();
        this.#client = undefined;
        await this.#sleep(pause);
        pause = Math.min(pause * 2, longestPause);
      }
    }
    this.#sending = undefined;
  }

  async #forward({ topic, event, timestamp }: Queued): Promise<void> {
    const deadline = deadlineIn(callBudget);
    if (this.#client?.isOpen !== true) this.#client = await TtrpcClient.connect(this.#address, { deadline });
    await this.#client.call(
      forward,
      { envelope: { timestamp, namespace: this.#namespace, topic, event: wireAny(event) } },
      { deadline, metadata: { 'containerd-namespace-ttrpc': this.#namespace } },
    );
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
