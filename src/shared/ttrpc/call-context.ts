import { deadlineExceeded, type TaskError } from '../errors/index.ts';

/** What a handler knows of its call besides the message. */
export class CallContext {
  readonly service: string;
  readonly method: string;
  /** Milliseconds since 1970, where the client sent its time left. */
  readonly deadline: number | undefined;
  /** A key's first value. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Made only for the handler that asks: most calls are over at once. */
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended: TaskError | undefined;

  constructor(call: {
    readonly service: string;
    readonly method: string;
    /** A number or a Long, as the decoder gives it. */
    readonly timeoutNano: unknown;
    readonly metadata: readonly { readonly key?: string | null; readonly value?: string | null }[];
  }) {
    this.service = call.service;
    this.method = call.method;
    const timeout = Number(call.timeoutNano) / 1e6;
    this.deadline = timeout > 0 ? Date.now() + timeout : undefined;
    const metadata = new Map<string, string>();
    for (const { key, value } of call.metadata) {
      if (key && !metadata.has(key)) metadata.set(key, value ?? '');
    }
    this.metadata = metadata;
  }

  /** Aborted when the client is gone, its deadline has passed, or the server closes; its reason is a TaskError. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.#ended !== undefined) controller.abort(this.#ended);
      else if (this.deadline !== undefined) {
        this.#timer = setTimeout(
          () => controller.abort(deadlineExceeded(`${this.service}/${this.method}: context deadline exceeded`)),
          Math.min(Math.max(0, this.deadline - Date.now()), 0x7fff_ffff),
        );
      }
    }
    return this.#controller.signal;
  }

  /** For the server: the call is over, with a reason where it was cut off. */
  end(reason?: TaskError): void {
    clearTimeout(this.#timer);
    if (reason === undefined || this.#ended !== undefined) return;
    this.#ended = reason;
    this.#controller?.abort(reason);
  }
}
