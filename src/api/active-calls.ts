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

/** Made for every call, so it makes only what the call asks for: most are answered from memory and need no signal. */
class Call implements ActiveCall {
  readonly endless: boolean;
  readonly #onLeave: (call: Call) => void;
  #controller: AbortController | undefined;
  #steps: Set<(reason: TaskError) => void> | undefined;
  #ended: TaskError | undefined;
  #left = false;

  constructor(endless: boolean, onLeave: (call: Call) => void) {
    this.endless = endless;
    this.#onLeave = onLeave;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended !== undefined) this.#controller.abort(this.#ended);
    }
    return this.#controller.signal;
  }

  whileActive<T>(step: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const steps = (this.#steps ??= new Set());
      // Its own failure concerns nobody after an abort; the handlers below see to that.
      const settle = <V>(end: (value: V) => void, value: V): void => {
        steps.delete(reject);
        end(value);
      };
      step.then(
        (value) => settle(resolve, value),
        (error: unknown) => settle(reject, error),
      );
      if (this.#ended === undefined) steps.add(reject);
      else reject(this.#ended);
    });
  }

  abort(reason: TaskError): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    for (const reject of this.#steps ?? []) reject(reason);
    this.#steps?.clear();
    this.#controller?.abort(reason);
  }

  cancel(): void {
    // grpc-js says so of answered calls too.
    if (!this.#left) this.abort(new TaskError('CANCELLED', 'the client gave up: context canceled'));
  }

  leave(): void {
    this.#left = true;
    this.#onLeave(this);
  }
}

/** The calls that are being served, so that a server can end them in order. */
export class ActiveCalls {
  readonly #entries = new Set<Call>();
  #closing = false;
  #onEmpty: (() => void) | undefined;

  get size(): number {
    return this.#entries.size;
  }

  /** `endless` calls end when the server begins to close, the others get time. Throws UNAVAILABLE once it closes. */
  enter(endless: boolean): ActiveCall {
    if (this.#closing) throw stopping();
    const call = new Call(endless, this.#leave);
    this.#entries.add(call);
    return call;
  }

  readonly #leave = (call: Call): void => {
    this.#entries.delete(call);
    if (this.#entries.size === 0) this.#onEmpty?.();
  };

  /** Ends the endless calls at once and the others after `grace` milliseconds, all with UNAVAILABLE; lets no new one in. */
  async close(grace: number): Promise<void> {
    this.#closing = true;
    this.#abort((entry) => entry.endless);
    await this.#emptied(grace);
    this.#abort(() => true);
  }

  #abort(which: (entry: Call) => boolean): void {
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
