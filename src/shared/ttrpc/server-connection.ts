import type { Socket } from 'node:net';
import { invalidArgument, numberOfCode, TaskError, unimplemented } from '../errors/index.ts';
import { ttrpc } from '../proto/gen/wire.js';
import { CallContext } from './call-context.ts';
import { Connection } from './connection.ts';
import { type Frame, type FrameHeader, frameFlags, frameTypes, hasFlag, maxFrameData } from './frame.ts';
import type { MethodHandler, StreamHandler, UnaryHandler } from './handler.ts';
import { RequestStream } from './request-stream.ts';

export type HandlerTable = ReadonlyMap<string, ReadonlyMap<string, MethodHandler>>;

export interface ServerConnectionOptions {
  readonly handlers: HandlerTable;
  /** Calls that one connection may have unanswered; the next one is refused with RESOURCE_EXHAUSTED. */
  readonly maxInFlight: number;
  onClosed(): void;
  /** A handler threw what is not a TaskError: a bug on this side. */
  onUnexpected(error: unknown, context: CallContext): void;
}

interface Call {
  readonly context: CallContext;
  /** What the client streams; absent in unary calls. */
  readonly requests: RequestStream | undefined;
}

const empty = new Uint8Array();

/** One client of the server. A client that breaks the rules gets an error on the stream it named, and nobody else notices. */
export class ServerConnection {
  readonly #options: ServerConnectionOptions;
  readonly #connection: Connection;
  readonly #calls = new Map<number, Call>();
  #lastStream = 0;

  constructor(socket: Socket, name: string, options: ServerConnectionOptions) {
    this.#options = options;
    this.#connection = new Connection(socket, name, {
      frame: (frame) => this.#receive(frame),
      oversized: (header) => this.#refuseOversized(header),
      closed: (reason) => this.#endCalls(TaskError.from(reason)),
    });
  }

  /** Ends every call with `reason`, sends what was answered, for at most `grace` ms, and closes. */
  async close(reason: TaskError, grace: number): Promise<void> {
    for (const call of this.#calls.values()) {
      call.context.end(reason);
      call.requests?.end(reason);
    }
    await this.#connection.end(reason, grace);
  }

  #receive(frame: Frame): void {
    if (frame.stream % 2 !== 1) {
      this.#refuse(frame.stream, invalidArgument('StreamID must be odd for client initiated streams'));
    } else if (frame.type === frameTypes.request) {
      this.#begin(frame);
    } else if (frame.type === frameTypes.data) {
      this.#continue(frame);
    }
    // Other types are left to later versions of the protocol.
  }

  #begin(frame: Frame): void {
    if (frame.stream <= this.#lastStream) {
      this.#refuse(frame.stream, invalidArgument('StreamID cannot be re-used and must increment'));
      return;
    }
    this.#lastStream = frame.stream;
    try {
      if (this.#calls.size >= this.#options.maxInFlight) {
        throw new TaskError(
          'RESOURCE_EXHAUSTED',
          `${this.#calls.size} calls of this connection are unanswered: limit reached`,
        );
      }
      const request = decodeRequest(frame.data);
      const handler = this.#find(request.service, request.method);
      const context = new CallContext({
        service: request.service,
        method: request.method,
        timeoutNano: request.timeoutNano,
        metadata: request.metadata,
      });
      if (handler.kind === 'unary') this.#unary(frame.stream, handler, request.payload, context);
      else this.#stream(frame, handler, request.payload, context);
    } catch (error) {
      this.#refuse(frame.stream, TaskError.from(error));
    }
  }

  #find(service: string, method: string): MethodHandler {
    const methods = this.#options.handlers.get(service);
    if (methods === undefined) throw unimplemented(`service ${service}`);
    const handler = methods.get(method);
    if (handler === undefined) throw unimplemented(`method ${method}`);
    return handler;
  }

  #unary(stream: number, handler: UnaryHandler, payload: Uint8Array, context: CallContext): void {
    this.#calls.set(stream, { context, requests: undefined });
    const answer = async () => {
      try {
        this.#respond(stream, await handler.handle(payload, context));
      } catch (error) {
        this.#fail(stream, context, error);
      } finally {
        this.#finish(stream, context);
      }
    };
    void answer();
  }

  #stream(frame: Frame, handler: StreamHandler, payload: Uint8Array, context: CallContext): void {
    const { stream } = frame;
    const requests = new RequestStream();
    // Nothing tells an absent message from an empty one: a client that streams begins with data frames.
    if (payload.length > 0 || !handler.clientStreams) requests.push(payload);
    if (!handler.clientStreams || hasFlag(frame, frameFlags.remoteClosed)) requests.end();
    this.#calls.set(stream, { context, requests });
    const answer = async () => {
      try {
        await this.#sendAll(stream, handler, handler.handle(requests.messages, context));
      } catch (error) {
        this.#fail(stream, context, error);
      } finally {
        requests.end();
        this.#finish(stream, context);
      }
    };
    void answer();
  }

  async #sendAll(stream: number, handler: StreamHandler, responses: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const data of responses) {
      if (!handler.serverStreams) {
        this.#respond(stream, data);
        return;
      }
      if (!this.#connection.isOpen || !this.#calls.has(stream)) return;
      this.#connection.send({ stream, type: frameTypes.data, flags: 0, data });
      if (this.#connection.congested) await this.#connection.drained();
    }
    if (!handler.serverStreams) throw new TaskError('INTERNAL', 'the method ended without a reply');
    const flags = frameFlags.remoteClosed | frameFlags.noData;
    this.#connection.send({ stream, type: frameTypes.data, flags, data: empty });
  }

  #continue(frame: Frame): void {
    const call = this.#calls.get(frame.stream);
    const requests = call?.requests;
    if (call === undefined || requests === undefined) {
      this.#refuse(frame.stream, invalidArgument('StreamID is no longer active'));
      return;
    }
    if (!hasFlag(frame, frameFlags.noData) && !requests.push(frame.data)) {
      const error = requests.ended
        ? invalidArgument('data handling error: ttrpc: stream closed')
        : new TaskError('RESOURCE_EXHAUSTED', 'data handling error: messages arrive faster than they are read');
      requests.end(error);
      this.#calls.delete(frame.stream);
      call.context.end(error);
      this.#refuse(frame.stream, error);
    }
    if (hasFlag(frame, frameFlags.remoteClosed)) requests.end();
  }

  #respond(stream: number, payload: Uint8Array): void {
    this.#send(stream, ttrpc.Response.encode(payload.length > 0 ? { payload } : {}).finish());
  }

  #fail(stream: number, context: CallContext, thrown: unknown): void {
    if (!(thrown instanceof TaskError)) this.#options.onUnexpected(thrown, context);
    this.#refuse(stream, TaskError.from(thrown));
  }

  #refuse(stream: number, error: TaskError): void {
    this.#send(stream, encodeStatus(error));
  }

  #send(stream: number, data: Uint8Array): void {
    const fits =
      data.length <= maxFrameData
        ? data
        : encodeStatus(
            new TaskError(
              'RESOURCE_EXHAUSTED',
              `reply of ${data.length} bytes exceeds maximum message size of ${maxFrameData}`,
            ),
          );
    this.#connection.send({ stream, type: frameTypes.response, flags: 0, data: fits });
    if (this.#connection.congested) void this.#pause();
  }

  /** A client that does not read its replies is not listened to. */
  async #pause(): Promise<void> {
    this.#connection.pauseReading();
    await this.#connection.drained();
    this.#connection.resumeReading();
  }

  #refuseOversized(header: FrameHeader): void {
    const message = `message length ${header.length} exceeds maximum message size of ${maxFrameData}`;
    const error = new TaskError('RESOURCE_EXHAUSTED', message);
    const requests = this.#calls.get(header.stream)?.requests;
    if (requests === undefined) this.#refuse(header.stream, error);
    else requests.end(error);
  }

  #finish(stream: number, context: CallContext): void {
    this.#calls.delete(stream);
    context.end();
  }

  #endCalls(reason: TaskError): void {
    for (const call of this.#calls.values()) {
      call.context.end(reason);
      call.requests?.end(reason);
    }
    this.#options.onClosed();
  }
}

function decodeRequest(bytes: Uint8Array): ttrpc.Request {
  try {
    return ttrpc.Request.decode(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TaskError('INVALID_ARGUMENT', `unmarshal request error: ${reason}`, { cause: error });
  }
}

/** Longest message sent in a status: an error that quotes its input must not become one of its own. */
const maxStatusMessage = 64 * 1024;

function encodeStatus(error: TaskError): Uint8Array {
  const message = error.message.slice(0, maxStatusMessage);
  return ttrpc.Response.encode({ status: { code: numberOfCode(error.code), message } }).finish();
}
