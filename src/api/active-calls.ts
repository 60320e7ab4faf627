import { TaskError, unavailable } from '../shared/errors/index.ts';

/** One call that has not been answered. */
export interface ActiveCall {
  /** Aborted when the client is gone or the server ends the call. */
  readonly signal: AbortSignal;
  /**
   * Settles as `step` does, or rejects when the signal is aborted; with UNAVAILABLE where the server did it. Nothing of a step is
   * kept once it has settled: a race with one promise a call would hold on to every event of a subscription until its end.
   */
  whileActive<T>(step: Promise<T>): Promise<T>;
  /** Tells that the client is gone. */
  cancel(): void;
  /** Has to be called when the call is answered. */
  leave(): void;
}

interface Entry {
  readonly endless: boolean;
  abort(reason: TaskError): void;
}

/** The calls that are being served, so that a server can end them in order. */
export class ActiveCalls {
  readonly #entries = new Set<Entry>();
  #closing = false;
  #onEmpty: (() => void) | undefined;

  get size(): number {
    return this.#entries.size;
  }

  /** `endless` calls end when the server begins to close, the others get time. Throws UNAVAILABLE once it closes. */
  enter(endless: boolean): ActiveCall {
    if (this.#closing) throw stopping();
    const controller = new AbortController();
    const steps = new Set<(reason: TaskError) => void>();
    let ended: TaskError | undefined;
    const entry: Entry = {
      endless,
      abort: (reason) => {
        if (ended !== undefined) return;
        ended = reason;
        for (const reject of steps) reject(reason);
        steps.clear();
        controller.abort(reason);
      },
    };
    this.#entries.add(entry);
    return {
      signal: controller.signal,
      whileActive: (step) =>
        new Promise((resolve, reject) => {
          // Its own failure concerns nobody after an abort; the handlers below see to that.
          void step.then(resolve, reject).finally(() => steps.delete(reject));
          if (ended === undefined) steps.add(reject);
          else reject(ended);
        }),
      cancel: () => {
        // grpc-js says so of answered calls too.
        if (this.#entries.has(entry)) entry.abort(new TaskError('CANCELLED', 'the client gave up: context canceled'));
      },
      leave: () => {
        this.#entries.delete(entry);
        if (this.#entries.size === 0) this.#onEmpty?.();
      },
    };
  }

  /** Ends the endless calls at once and the others after `grace` milliseconds, all with UNAVAILABLE; lets no new one in. */
  async close(grace: number): Promise<void> {
    this.#closing = true;
    this.#abort((entry) => entry.endless);
    await this.#emptied(grace);
    this.#abort(() => true);
  }

  #abort(which: (entry: Entry) => boolean): void {
    for (const entry of this.#entries) if (which(entry)) entry.abort(stopping());
  }

  #emptied(within: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#entries.size === 0) {
        resolve();
        return;
      }
      const timer = setTimeout(resolve, within);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function stopping(): TaskError {
  return unavailable('shimd is stopping, try again when it is back: unavailable');
}
