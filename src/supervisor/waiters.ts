import type { TaskError } from '../shared/errors/index.ts';

interface Waiter<T> {
  resolve(value: T): void;
  reject(error: TaskError): void;
}

/**
 * Those who wait for one thing to happen. Unlike a shared promise, it keeps nothing of a waiter who gave up: thousands
 * of cancelled waits on a task that runs for months leave no trace.
 */
export class Waiters<T> {
  readonly #waiters = new Set<Waiter<T>>();

  get size(): number {
    return this.#waiters.size;
  }

  /** The returned function forgets the waiter; its promise never settles then. */
  add(): { readonly promise: Promise<T>; readonly forget: () => void } {
    let waiter: Waiter<T> | undefined;
    const promise = new Promise<T>((resolve, reject) => {
      waiter = { resolve, reject };
      this.#waiters.add(waiter);
    });
    return {
      promise,
      forget: () => {
        if (waiter !== undefined) this.#waiters.delete(waiter);
      },
    };
  }

  resolve(value: T): void {
    for (const waiter of this.#take()) waiter.resolve(value);
  }

  reject(error: TaskError): void {
    for (const waiter of this.#take()) waiter.reject(error);
  }

  #take(): Waiter<T>[] {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    return waiters;
  }
}
