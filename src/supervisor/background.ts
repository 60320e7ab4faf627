import { TaskError } from '../shared/errors/index.ts';
import type { Logger } from '../shared/log/logger.ts';

/** Work that goes on without its caller: undoing, adopting again. It has a limit of its own, and an owner that ends it. */
export class Background {
  readonly #logger: Logger;
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Aborted when the supervisor closes. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** `doing` is the event of the line that is logged where it fails. */
  run(doing: string, work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => {
        if (!this.signal.aborted) this.#logger.warn(doing, { error: TaskError.from(error).message });
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Tells all to end; resolves when they have. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#running);
  }
}
