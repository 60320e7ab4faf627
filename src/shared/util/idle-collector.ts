import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface IdleCollectorOptions {
  /** Milliseconds between two looks. Default 500. */
  readonly every?: number | undefined;
  /** Runs after each collection. */
  readonly afterwards?: (() => void) | undefined;
}

/** Shares of the time between two looks that the thread worked. */
const busy = 0.1;
const idle = 0.02;
/** Looks between two collections, at least: work that comes and goes is not slowed down by them. */
const apart = 10;

/**
 * Collects a thread's garbage once it has nothing to do after it was busy. V8 collects when it needs room, so a burst's
 * garbage, and the heap that grew for it, would stay for as long as nothing happens. Never while there is work: a
 * collection takes some 20 ms.
 */
export class IdleCollector implements Disposable {
  readonly #collect: () => void;
  readonly #afterwards: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  #last: EventLoopUtilization = performance.eventLoopUtilization();
  #wasBusy = true;
  #collections = 0;
  #looks = apart;

  constructor(options: IdleCollectorOptions = {}) {
    this.#collect = collector();
    this.#afterwards = options.afterwards;
    this.#timer = setInterval(() => this.#look(), options.every ?? 500);
    this.#timer.unref();
  }

  /** How often it has collected. */
  get collections(): number {
    return this.#collections;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #look(): void {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#last);
    this.#last = now;
    this.#looks += 1;
    if (utilization >= busy) this.#wasBusy = true;
    if (!this.#wasBusy || utilization > idle || this.#looks < apart) return;
    this.#wasBusy = false;
    this.#looks = 0;
    this.#collections += 1;
    this.#collect();
    this.#afterwards?.();
  }
}

/** V8's own collection, which Node shows only to programs that were started for it. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  return typeof collect === 'function' ? () => void collect() : () => undefined;
}
