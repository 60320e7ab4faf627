import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { codeOfNumber, type ErrorCode } from '../../src/shared/errors/index.ts';
import type { ServerStreamMethod, UnaryMethod } from '../../src/shared/grpc/index.ts';

/** Milliseconds that a call may take unless it says otherwise. */
const defaultBudget = 60_000;

/** A call's failure as the wire had it. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: ErrorCode;

  constructor(error: ServiceError) {
    super(error.details);
    this.code = codeOfNumber(error.code);
  }
}

export interface CallOptions {
  /** Milliseconds. */
  readonly budget?: number;
  /** Instead of the client's own; '' sends none. */
  readonly namespace?: string;
}

/** What a stream has brought so far, in order; it is read without a pause. */
export interface Stream<Message> {
  /** Throws what ended the stream, if that was a failure. */
  readonly messages: readonly Message[];
  /** Resolves when it ended well, rejects with its CallError. */
  readonly ended: Promise<void>;
  cancel(): void;
}

/** A gRPC client of a daemon, for any service's definition. */
export class ApiClient implements Disposable {
  readonly namespace: string;
  readonly #client: Client;

  constructor(socket: string, namespace: string) {
    this.namespace = namespace;
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': 16 << 20,
      'grpc.max_send_message_length': 64 << 20,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 200,
      // Channels of one address share their connection otherwise, a broken one too.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  call<Init, Request, AnswerInit, Answer>(
    method: UnaryMethod<Init, Request, AnswerInit, Answer>,
    request: Init,
    options: CallOptions = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        (bytes) => decodeAnswer(method, bytes),
        request,
        this.#metadata(options),
        { deadline: Date.now() + (options.budget ?? defaultBudget) },
        (error, answer) => {
          if (error) reject(new CallError(error));
          else if (answer === undefined) reject(new Error(`${method.path} answered nothing`));
          else resolve(answer);
        },
      );
    });
  }

  stream<Init, Request, AnswerInit, Answer>(
    method: ServerStreamMethod<Init, Request, AnswerInit, Answer>,
    request: Init,
    options: CallOptions = {},
  ): Stream<Answer> {
    const call = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      (bytes) => decodeAnswer(method, bytes),
      request,
      this.#metadata(options),
      options.budget === undefined ? {} : { deadline: Date.now() + options.budget },
    );
    const messages: Answer[] = [];
    let failure: CallError | undefined;
    const ended = new Promise<void>((resolve, reject) => {
      call.on('data', (message: Answer) => messages.push(message));
      call.once('end', resolve);
      call.once('error', (error) => {
        failure = new CallError(error as ServiceError);
        reject(failure);
      });
    });
    ended.catch(() => undefined);
    return {
      get messages() {
        if (failure && failure.code !== 'CANCELLED') throw failure;
        return messages;
      },
      ended,
      cancel: () => call.cancel(),
    };
  }

  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #metadata(options: CallOptions): Metadata {
    const metadata = new Metadata();
    const namespace = options.namespace ?? this.namespace;
    if (namespace !== '') metadata.set('containerd-namespace', namespace);
    return metadata;
  }
}

function decodeAnswer<Answer>(method: { responseDeserialize: (bytes: Buffer) => Answer }, bytes: Buffer): Answer {
  return method.responseDeserialize(bytes);
}

/** The CallError that `promise` fails with. Throws where it does not fail. */
export async function failureOf(promise: Promise<unknown>): Promise<CallError> {
  let answer: unknown;
  try {
    answer = await promise;
  } catch (error) {
    if (error instanceof CallError) return error;
    throw error;
  }
  throw new Error(`expected a failure, got ${JSON.stringify(answer)}`);
}

/** For `catch`: the code of a call that failed, or another error itself. */
export function codeOf(error: unknown): unknown {
  return error instanceof CallError ? error.code : error;
}
