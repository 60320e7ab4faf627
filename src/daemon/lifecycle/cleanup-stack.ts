import type { Logger } from '../../shared/log/logger.ts';
import { deadlineIn, until } from '../../shared/util/deadline.ts';

interface Step {
  readonly what: string;
  readonly budget: number;
  readonly run: () => void | Promise<void>;
}

/** What has to be undone at the end, newest first. One step that fails or hangs does not keep the others from running. */
export class CleanupStack {
  readonly #steps: Step[] = [];
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** `budget` in milliseconds: what takes longer is left behind. */
  push(what: string, run: () => void | Promise<void>, budget = 5_000): void {
    this.#steps.push({ what, budget, run });
  }

  /** Runs every step once; true where all of them came to an end. Never rejects. */
  async unwind(): Promise<boolean> {
    let clean = true;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      const { what, budget, run } = step;
      try {
        await until(Promise.resolve().then(run), { deadline: deadlineIn(budget), doing: what });
        this.#logger.debug('stop step done', { step: what });
      } catch (error) {
        clean = false;
        this.#logger.error('stop step failed', { step: what, error });
      }
    }
    return clean;
  }
}
