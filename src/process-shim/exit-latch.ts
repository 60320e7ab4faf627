import type { TaskError } from '../shared/errors/index.ts';

/** How a process ended. */
export interface ProcessExit {
  /** 128 and the signal's number where it was killed. */
  readonly status: number;
  /** Milliseconds since 1970, with a fraction; undefined where the process never ran. */
  readonly at: number | undefined;
}

/** Set once; hands the exit to everybody who waits and to everybody who asks later. */
export class ExitLatch {
  #exit: ProcessExit | undefined;
  #waiters: Set<(exit: ProcessExit) => void> | undefined;

  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  /** The first exit stays. */
  set(exit: ProcessExit): void {
    if (this.#exit !== undefined) return;
    this.#exit = exit;
    const waiters = this.#waiters;
    this.#waiters = undefined;
    for (const waiter of waiters ?? []) waiter(exit);
  }

  /** Rejects with the signal's reason, a TaskError, when the caller is gone: a process may outlive any number of callers. */
  wait(signal?: AbortSignal): Promise<ProcessExit> {
    if (this.#exit !== undefined) return Promise.resolve(this.#exit);
    return new Promise((resolve, reject) => {
      const waiters = (this.#waiters ??= new Set());
      const onAbort = (): void => {
        waiters.delete(onExit);
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the server aborts with a TaskError.
        reject(signal?.reason as TaskError);
      };
      const onExit = (exit: ProcessExit): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve(exit);
      };
      if (signal?.aborted) return onAbort();
      waiters.add(onExit);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}

/** Milliseconds since 1970, never going back while the program runs and finer than a millisecond. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
