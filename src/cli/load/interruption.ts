import { setMaxListeners } from 'node:events';
import { constants } from 'node:os';
import { Failure } from '../failure.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Makes the user's wish to end an abort, so that what was made can be removed first; the second time it ends at once. */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #onSecond: () => void;

  /** `onFirst` and `onSecond` tell the user what comes of it. */
  constructor(onFirst: () => void, onSecond: () => void) {
    this.#onSecond = onSecond;
    // Each call under way listens to it.
    setMaxListeners(0, this.#controller.signal);
    this.#onFirst = onFirst;
    for (const signal of signals) process.on(signal, this.#caught);
  }

  readonly #onFirst: () => void;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const signal of signals) process.off(signal, this.#caught);
  }

  readonly #caught = (signal: NodeJS.Signals): void => {
    const status = 128 + constants.signals[signal];
    if (this.#controller.signal.aborted) {
      this.#onSecond();
      process.exit(status);
    }
    this.#onFirst();
    this.#controller.abort(new Failure(status, `interrupted by ${signal}; everything that was made is removed`));
  };
}
