import { deferred } from '../../shared/util/deferred.ts';
import { onAbort } from '../../shared/util/on-abort.ts';

export interface RoundOptions {
  readonly tasks: number;
  /** Lifecycles under way at once. */
  readonly concurrency: number;
  /** One task's whole life. What it throws counts as a failure and ends no other life. */
  readonly live: (index: number) => Promise<void>;
  readonly onProgress: (done: number, running: number) => void;
  /** Why nothing more is to be begun; undefined as long as there is no reason. */
  readonly obstacle: () => string | undefined;
  readonly signal: AbortSignal;
}

/** So many failures mean that something is wrong in general, and going on only makes more of them. */
const mostFailures = 25;

export interface RoundResult {
  readonly milliseconds: number;
  readonly done: number;
  readonly failures: number;
  /** The first of them. */
  readonly firstFailure: unknown;
  /** Why the rest was not tried; absent where everything was. */
  readonly givenUp: string | undefined;
}

/** Runs all lifecycles of a round, `concurrency` at once. Resolves when the last one has ended, one way or the other. */
export async function runRound(options: RoundOptions): Promise<RoundResult> {
  const { tasks, signal } = options;
  const began = performance.now();
  let next = 0;
  let running = 0;
  let done = 0;
  let failures = 0;
  let firstFailure: unknown;
  const lane = async (): Promise<void> => {
    while (next < tasks && failures < mostFailures && !signal.aborted && options.obstacle() === undefined) {
      const index = next;
      next += 1;
      running += 1;
      try {
        await options.live(index);
        done += 1;
      } catch (error) {
        firstFailure ??= error;
        failures += 1;
      }
      running -= 1;
      options.onProgress(done + failures, running);
    }
  };
  const whyGivenUp = (): string => {
    if (signal.aborted) return 'interrupted';
    return options.obstacle() ?? `given up after ${failures} failures`;
  };
  await Promise.all(Array.from({ length: Math.min(options.concurrency, tasks) }, lane));
  const givenUp = next < tasks ? `${whyGivenUp()}; ${tasks - next} tasks not tried` : undefined;
  return { milliseconds: performance.now() - began, done, failures, firstFailure, givenUp };
}

/** Holds tasks until all of them have come so far. */
export class Rendezvous {
  #missing: number;
  readonly #met = deferred<void>();
  readonly #release: () => Promise<void> | void;

  /** `release` is called once, when the last has arrived. */
  constructor(parties: number, release: () => Promise<void> | void) {
    this.#missing = parties;
    this.#release = release;
    this.#met.promise.catch(() => undefined);
  }

  /** Resolves when everybody is here. Rejects when `signal` aborts. */
  async arrive(signal: AbortSignal): Promise<void> {
    await this.#count();
    signal.throwIfAborted();
    const given = onAbort(signal, () => this.#met.reject(signal.reason));
    try {
      await this.#met.promise;
    } finally {
      given();
    }
  }

  /** For one that will not come: nobody waits for it. */
  async leave(): Promise<void> {
    await this.#count();
  }

  async #count(): Promise<void> {
    this.#missing -= 1;
    if (this.#missing !== 0) return;
    try {
      await this.#release();
      this.#met.resolve();
    } catch (error) {
      this.#met.reject(error);
    }
  }
}

/** Answers a function that runs what it is given, but no more than `limit` at once; the others wait their turn. */
export function atMost(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = limit;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
