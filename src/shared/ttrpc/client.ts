import type { Socket } from 'node:net';
import { deadlineExceeded, TaskError, unavailable } from '../errors/index.ts';
import { ttrpc } from '../proto/gen/wire.js';
import { remaining, until } from '../util/deadline.ts';
import { deferred } from '../util/deferred.ts';
import { onAbort } from '../util/on-abort.ts';
import { socketPathOf } from './address.ts';
import { ClientStream } from './client-stream.ts';
import { Connection } from './connection.ts';
import { dial } from './dial.ts';
import { assertFrameSize } from './encoder.ts';
import { type Frame, type FrameHeader, frameFlags, frameTypes, maxFrameData, maxStreamId } from './frame.ts';
import { methodPath, type StreamMethod, type UnaryMethod } from './method.ts';
import { PendingCall } from './pending-call.ts';
import type { Receiver } from './receiver.ts';

export interface CallOptions {
  /** Milliseconds since 1970; without one the call waits as long as the connection lives. */
  readonly deadline?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Also tell the server the time left (`timeout_nano`). Default false: a shim kills its runtime in mid-work then. */
  readonly sendDeadline?: boolean | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

export interface ConnectOptions {
  /** Milliseconds since 1970. */
  readonly deadline: number;
  /** The first stream's id, odd. Default 1. */
  readonly firstStream?: number | undefined;
}

/** Calls that may wait for room on a congested connection; one more fails. */
const maxWaitingToSend = 1024;

const noFlags = 0;
const none: CallOptions = {};
const nothing = (): void => undefined;

/**
 * A client of one ttrpc server over one unix socket. Calls run side by side. When the connection closes, every pending call
 * rejects with UNAVAILABLE and the reason, and so does every later one: a client does not connect again.
 */
export class TtrpcClient implements Disposable {
  readonly #name: string;
  readonly #connection: Connection;
  readonly #receivers = new Map<number, Receiver>();
  readonly #closed = deferred<Error>();
  #closeReason: Error | undefined;
  #nextStream: number;
  #waitingToSend = 0;
  #ignoredFrames = 0;

  /**
   * Connects to a path or `unix://path`. Throws INVALID_ARGUMENT for an address that cannot be one, UNAVAILABLE at once where
   * nothing listens, DEADLINE_EXCEEDED where a server is there but takes no connection in time.
   */
  static async connect(address: string, options: ConnectOptions): Promise<TtrpcClient> {
    const path = socketPathOf(address);
    const socket = await dial(path, options.deadline);
    return new TtrpcClient(socket, path, options.firstStream ?? 1);
  }

  private constructor(socket: Socket, name: string, firstStream: number) {
    this.#name = name;
    this.#nextStream = firstStream;
    this.#connection = new Connection(socket, name, {
      frame: (frame) => this.#receive(frame),
      oversized: (header) => this.#failOversized(header),
      closed: (reason) => this.#failAll(reason),
    });
  }

  /** Resolves, never rejects, with the reason once the connection is closed. */
  get closed(): Promise<Error> {
    return this.#closed.promise;
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  /** Calls and streams that have not ended. */
  get pendingCount(): number {
    return this.#receivers.size;
  }

  /** Frames for streams that are unknown here, which includes answers that came after their call had ended. */
  get ignoredFrames(): number {
    return this.#ignoredFrames;
  }

  /**
   * Calls a method. Rejects with the remote's code and message, UNAVAILABLE when the connection closes, DEADLINE_EXCEEDED,
   * CANCELLED by the signal, RESOURCE_EXHAUSTED for a message over 4 MiB on either way. Only the wait ends with the
   * deadline or the signal; ttrpc cannot cancel what the server does.
   */
  async call<Req, Res>(method: UnaryMethod<Req, Res>, request: Req, options: CallOptions = none): Promise<Res> {
    const path = methodPath(method);
    assertLive(path, options);
    const payload = method.encode(request);
    if (this.#connection.congested) {
      await this.#waitForRoom(path, options);
      assertLive(path, options);
    }
    return new Promise<Res>((resolve, reject) => {
      const call = new PendingCall(path, (bytes) => method.decode(bytes), resolve, reject);
      const stream = this.#open(call, noFlags, encodeRequest(method, payload, options), path);
      const release = this.#limit(stream, path, options);
      call.onEnd = release;
    });
  }

  /**
   * Begins a streaming call. `request` is sent with it: required by methods whose client sends one message only, and
   * usually absent where the client streams. Rejections of the stream are those of `call`.
   */
  stream<Req, Res>(
    method: StreamMethod<Req, Res>,
    request: Req | undefined,
    options: CallOptions = none,
  ): ClientStream<Req, Res> {
    const path = methodPath(method);
    assertLive(path, options);
    const payload = request === undefined ? new Uint8Array() : method.encode(request);
    let id = 0;
    let release = nothing;
    const stream = new ClientStream(method, {
      sendData: (flags, data, doing) => this.#sendData(id, flags, data, doing, options),
      forget: () => {
        release();
        this.#receivers.delete(id);
      },
    });
    const flag = method.clientStreams ? frameFlags.remoteOpen : frameFlags.remoteClosed;
    id = this.#open(stream, flag, encodeRequest(method, payload, options), path);
    release = this.#limit(id, path, options);
    return stream;
  }

  /** Closes the connection; pending calls reject with UNAVAILABLE. Can be repeated. */
  close(): void {
    this.#connection.destroy(unavailable(`connection to ${this.#name} closed by this side`));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Takes the next id and sends the request with it at once: ids have to rise on the wire. */
  #open(receiver: Receiver, flags: number, data: Uint8Array, path: string): number {
    if (this.#closeReason !== undefined) throw unavailable(`${path}: ${this.#closeReason.message}`, this.#closeReason);
    assertFrameSize(data.length, path);
    if (this.#nextStream > maxStreamId) {
      throw unavailable(`${path}: the connection to ${this.#name} has used up its stream ids: connect again`);
    }
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#receivers.set(stream, receiver);
    this.#connection.send({ stream, type: frameTypes.request, flags, data });
    return stream;
  }

  /** Ends the stream at the deadline or by the signal; returns what takes both back. */
  #limit(stream: number, path: string, options: CallOptions): () => void {
    const { deadline, signal } = options;
    if (deadline === undefined && signal === undefined) return nothing;
    const fail = (error: TaskError) => {
      const receiver = this.#receivers.get(stream);
      this.#receivers.delete(stream);
      receiver?.fail(error);
    };
    const budget = deadline === undefined ? undefined : remaining(deadline);
    const timer =
      budget === undefined
        ? undefined
        : setTimeout(
            () =>
              fail(deadlineExceeded(`${path}: no answer from ${this.#name} within ${budget} ms: deadline exceeded`)),
            Math.min(budget, 0x7fff_ffff),
          );
    const releaseSignal = onAbort(signal, () => fail(givenUp(path)));
    return () => {
      clearTimeout(timer);
      releaseSignal();
    };
  }

  async #sendData(id: number, flags: number, data: Uint8Array, path: string, options: CallOptions): Promise<void> {
    if (this.#connection.congested) await this.#waitForRoom(path, options);
    if (this.#closeReason !== undefined) throw unavailable(`${path}: ${this.#closeReason.message}`, this.#closeReason);
    assertFrameSize(data.length, path);
    this.#connection.send({ stream: id, type: frameTypes.data, flags, data });
  }

  async #waitForRoom(path: string, options: CallOptions): Promise<void> {
    if (this.#waitingToSend >= maxWaitingToSend) {
      throw new TaskError('RESOURCE_EXHAUSTED', `${path}: ${maxWaitingToSend} calls wait for ${this.#name} to read`);
    }
    this.#waitingToSend += 1;
    try {
      // Those that wait are woken together: the first may fill the connection again.
      while (this.#connection.congested) {
        const { deadline = Number.POSITIVE_INFINITY, signal } = options;
        await until(this.#connection.drained(), { deadline, signal, doing: `${path}: wait for ${this.#name} to read` });
      }
    } finally {
      this.#waitingToSend -= 1;
    }
  }

  #receive(frame: Frame): void {
    const receiver = this.#receivers.get(frame.stream);
    if (receiver === undefined) this.#ignoredFrames += 1;
    else if (receiver.receive(frame)) this.#receivers.delete(frame.stream);
  }

  #failOversized(header: FrameHeader): void {
    const receiver = this.#receivers.get(header.stream);
    this.#receivers.delete(header.stream);
    if (receiver === undefined) this.#ignoredFrames += 1;
    else {
      const message = `${receiver.path}: message length ${header.length} from ${this.#name} exceeds maximum message size of ${maxFrameData}`;
      receiver.fail(new TaskError('RESOURCE_EXHAUSTED', message));
    }
  }

  #failAll(reason: Error): void {
    this.#closeReason = reason;
    const receivers = [...this.#receivers.values()];
    this.#receivers.clear();
    for (const receiver of receivers) {
      receiver.fail(unavailable(`${receiver.path}: ${reason.message}`, reason));
    }
    this.#closed.resolve(reason);
  }
}

function encodeRequest(
  method: { readonly service: string; readonly name: string },
  payload: Uint8Array,
  options: CallOptions,
): Uint8Array {
  const { deadline, sendDeadline = false, metadata } = options;
  return ttrpc.Request.encode({
    service: method.service,
    method: method.name,
    ...(payload.length > 0 && { payload }),
    ...(sendDeadline && deadline !== undefined && { timeoutNano: timeoutNano(deadline) }),
    ...(metadata !== undefined && { metadata: Object.entries(metadata).map(([key, value]) => ({ key, value })) }),
  }).finish();
}

/** Zero would mean "no deadline". */
function timeoutNano(deadline: number): number {
  return Math.min(Math.max(1, remaining(deadline)) * 1e6, Number.MAX_SAFE_INTEGER);
}

/** Nothing is sent for a call that is over before it begins. */
function assertLive(path: string, options: CallOptions): void {
  if (options.signal?.aborted) throw givenUp(path);
  if (options.deadline !== undefined && remaining(options.deadline) === 0) {
    throw deadlineExceeded(`${path}: the deadline has passed before the call: deadline exceeded`);
  }
}

function givenUp(path: string): TaskError {
  return new TaskError('CANCELLED', `${path}: the caller gave up: context canceled`);
}
