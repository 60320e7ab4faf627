import { TaskError } from '../shared/errors/index.ts';
import { onAbort } from '../shared/util/on-abort.ts';

/** At most `width` at once; the others wait in the order in which they came. */
export class Turns {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(width: number) {
    this.#free = width;
  }

  /** Runs `work` when it is its turn. Throws CANCELLED where `signal` is aborted before that. */
  async take<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await this.#queue(signal);
    try {
      return await work();
    } finally {
      const next = this.#waiting.values().next();
      if (next.done) this.#free += 1;
      else next.value();
    }
  }

  #queue(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const release = onAbort(signal, () => {
        this.#waiting.delete(go);
        reject(new TaskError('CANCELLED', 'waiting for a turn: given up: context canceled'));
      });
      const go = () => {
        release();
        this.#waiting.delete(go);
        resolve();
      };
      this.#waiting.add(go);
      if (signal.aborted) {
        this.#waiting.delete(go);
        reject(new TaskError('CANCELLED', 'waiting for a turn: given up: context canceled'));
      }
    });
  }
}
