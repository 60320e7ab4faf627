import { TaskError } from '../errors/index.ts';
import { describeFrame, type Frame, frameTypes } from './frame.ts';
import { parse, type Receiver, readResponse } from './receiver.ts';

/** A unary call whose reply is awaited. Whatever ends it first wins. */
export class PendingCall<Res> implements Receiver {
  readonly path: string;
  readonly #decode: (bytes: Uint8Array) => Res;
  readonly #resolve: (reply: Res) => void;
  readonly #reject: (error: TaskError) => void;
  /** Takes back the call's timer and listener. */
  onEnd: (() => void) | undefined;

  constructor(
    path: string,
    decode: (bytes: Uint8Array) => Res,
    resolve: (reply: Res) => void,
    reject: (error: TaskError) => void,
  ) {
    this.path = path;
    this.#decode = decode;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  receive(frame: Frame): boolean {
    this.onEnd?.();
    try {
      if (frame.type !== frameTypes.response) {
        throw new TaskError(
          'INTERNAL',
          `${this.path}: unexpected frame in reply to a unary call: ${describeFrame(frame)}`,
        );
      }
      const payload = readResponse(frame, this.path);
      this.#resolve(parse(() => this.#decode(payload), this.path));
    } catch (error) {
      this.#reject(TaskError.from(error, this.path));
    }
    return true;
  }

  fail(error: TaskError): void {
    this.onEnd?.();
    this.#reject(error);
  }
}
