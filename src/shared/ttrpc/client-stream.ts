import { failedPrecondition, TaskError } from '../errors/index.ts';
import { BoundedQueue } from '../util/bounded-queue.ts';
import { describeFrame, type Frame, frameFlags, frameTypes, hasFlag } from './frame.ts';
import { messageOverhead, streamCapacity } from './limits.ts';
import { methodPath, type StreamMethod } from './method.ts';
import { parse, type Receiver, readResponse } from './receiver.ts';

/** What a stream needs of its client. */
export interface StreamOutlet {
  /** Sends a data frame, after waiting for room. Rejects with UNAVAILABLE on a closed connection. */
  sendData(flags: number, data: Uint8Array, path: string): Promise<void>;
  /** The stream has ended or nobody reads it any more. */
  forget(): void;
}

/**
 * The client's side of a streaming call. Iterate it for what the server sends; the loop ends with the stream and throws
 * a TaskError where the call fails. ttrpc has no message to cancel a call: leaving the loop makes the client forget the
 * stream and close its own side of it, while the server goes on until its own end.
 */
export class ClientStream<Req, Res> implements Receiver, AsyncIterable<Res> {
  readonly #method: StreamMethod<Req, Res>;
  readonly path: string;
  readonly #outlet: StreamOutlet;
  readonly #queue: BoundedQueue<Res>;
  #sendClosed: boolean;

  constructor(method: StreamMethod<Req, Res>, outlet: StreamOutlet) {
    this.#method = method;
    this.path = methodPath(method);
    this.#outlet = outlet;
    this.#sendClosed = !method.clientStreams;
    this.#queue = new BoundedQueue<Res>(streamCapacity, () => this.#onEnd());
  }

  /** Throws FAILED_PRECONDITION after `closeSend` or the stream's end, RESOURCE_EXHAUSTED for more than 4 MiB. */
  async send(message: Req): Promise<void> {
    if (this.#sendClosed || this.#queue.ended)
      throw failedPrecondition(`${this.path}: the stream takes no message any more`);
    await this.#outlet.sendData(0, this.#method.encode(message), this.path);
  }

  /** Tells the server that no message follows. Can be repeated. */
  async closeSend(): Promise<void> {
    if (this.#sendClosed || this.#queue.ended) return;
    this.#sendClosed = true;
    await this.#sendEnd();
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Res> {
    return this.#queue;
  }

  receive(frame: Frame): boolean {
    const last = frame.type === frameTypes.response || hasFlag(frame, frameFlags.remoteClosed);
    if (last) this.#sendClosed = true;
    try {
      this.#accept(frame);
    } catch (error) {
      this.#queue.end(TaskError.from(error, this.path));
    }
    return this.#queue.ended;
  }

  fail(error: TaskError): void {
    this.#queue.end(error);
  }

  #accept(frame: Frame): void {
    if (frame.type === frameTypes.response) {
      const payload = readResponse(frame, this.path);
      if (!this.#method.serverStreams || payload.length > 0) this.#push(payload);
      this.#queue.end();
    } else if (frame.type === frameTypes.data && this.#method.serverStreams) {
      if (!hasFlag(frame, frameFlags.noData)) this.#push(frame.data);
      if (hasFlag(frame, frameFlags.remoteClosed)) this.#queue.end();
    } else {
      throw new TaskError('INTERNAL', `${this.path}: unexpected frame on the stream: ${describeFrame(frame)}`);
    }
  }

  /** A server that still waits for messages of a stream nobody reads is told that none will come. */
  #onEnd(): void {
    this.#outlet.forget();
    if (this.#sendClosed) return;
    this.#sendClosed = true;
    this.#sendEnd().catch(() => undefined);
  }

  #sendEnd(): Promise<void> {
    return this.#outlet.sendData(frameFlags.remoteClosed | frameFlags.noData, new Uint8Array(), this.path);
  }

  #push(payload: Uint8Array): void {
    const message = parse(() => this.#method.decode(payload), this.path);
    if (!this.#queue.push(message, payload.length + messageOverhead)) {
      throw new TaskError('RESOURCE_EXHAUSTED', `${this.path}: messages arrive faster than they are read`);
    }
  }
}
