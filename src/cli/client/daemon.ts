import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { TaskError } from '../../shared/errors/index.ts';
import type { RequestInitOf, ResponseOf, ServerStreamMethod, UnaryMethod } from '../../shared/grpc/index.ts';
import type { Namespace } from '../../shared/identifiers.ts';
import { dialTarget } from './address.ts';
import { fromServiceError } from './service-error.ts';

export interface CallLimits {
  /** Milliseconds; absent: 70 s, more than any of the daemon's own deadlines but Create's, so that its reason arrives first. */
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const usualTimeout = 70_000;
/** Clients of containerd's API take 16 MiB a message; grpc-js takes 4 unless told. */
const maxMessageBytes = 16 * 1024 * 1024;

type AnyUnary = UnaryMethod<never, unknown, never, unknown>;
type AnyStream = ServerStreamMethod<never, unknown, never, unknown>;

/** The daemon, as promises: every call ends by its timeout, or by its signal where it may take for ever. */
export class Daemon implements Disposable {
  readonly address: string;
  readonly #client: Client;

  /** Does not dial: the first call does. */
  constructor(address: string) {
    this.address = address;
    this.#client = new Client(dialTarget(address), credentials.createInsecure(), {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      'grpc.service_config_disable_resolution': 1,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.min_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 1000,
    });
  }

  /** One request, one response. Throws TaskError: the daemon's own, UNAVAILABLE with what to do, or DEADLINE_EXCEEDED. */
  call<Method extends AnyUnary>(
    method: Method,
    namespace: Namespace,
    request: RequestInitOf<Method>,
    limits: CallLimits = {},
  ): Promise<ResponseOf<Method>> {
    return this.#unary(method, namespace, request, Date.now() + (limits.timeout ?? usualTimeout), limits.signal);
  }

  /** A call that takes as long as what it waits for, and so ends with `signal` only. */
  callUntil<Method extends AnyUnary>(
    method: Method,
    namespace: Namespace,
    request: RequestInitOf<Method>,
    signal: AbortSignal,
  ): Promise<ResponseOf<Method>> {
    return this.#unary(method, namespace, request, Number.POSITIVE_INFINITY, signal);
  }

  /** One request, responses until the daemon ends them or `signal` does. */
  async *stream<Method extends AnyStream>(
    method: Method,
    namespace: Namespace,
    request: RequestInitOf<Method>,
    signal: AbortSignal,
  ): AsyncGenerator<ResponseOf<Method>, void, undefined> {
    const { requestSerialize, responseDeserialize } = wireFunctions<Method>(method);
    const call = this.#client.makeServerStreamRequest(
      method.path,
      requestSerialize,
      responseDeserialize,
      request,
      metadataOf(namespace),
    );
    const cancel = () => call.cancel();
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      for await (const response of call) yield response;
    } catch (error) {
      if (signal.aborted) return;
      throw this.#explain(error);
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #unary<Method extends AnyUnary>(
    method: Method,
    namespace: Namespace,
    request: RequestInitOf<Method>,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<ResponseOf<Method>> {
    const { requestSerialize, responseDeserialize } = wireFunctions<Method>(method);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(cancelled(method.originalName));
        return;
      }
      const call = this.#client.makeUnaryRequest(
        method.path,
        requestSerialize,
        responseDeserialize,
        request,
        metadataOf(namespace),
        { deadline },
        (error, response) => {
          signal?.removeEventListener('abort', cancel);
          if (error) reject(signal?.aborted ? cancelled(method.originalName) : this.#explain(error));
          else if (response === undefined) reject(new TaskError('INTERNAL', `${method.originalName}: empty answer`));
          else resolve(response);
        },
      );
      const cancel = () => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  #explain(error: unknown): TaskError {
    return isServiceError(error) ? fromServiceError(error, this.address) : TaskError.from(error);
  }
}

/** A method's two functions of the client's side, in the types that its own type gives them. */
function wireFunctions<Method extends AnyUnary | AnyStream>(method: Method) {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the very types that are inferred from `method`.
  return method as unknown as {
    readonly requestSerialize: (request: RequestInitOf<Method>) => Buffer;
    readonly responseDeserialize: (bytes: Buffer) => ResponseOf<Method>;
  };
}

function metadataOf(namespace: Namespace): Metadata {
  const metadata = new Metadata();
  metadata.set('containerd-namespace', namespace);
  return metadata;
}

function cancelled(method: string): TaskError {
  return new TaskError('CANCELLED', `${method}: given up: context canceled`);
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && error.code in status;
}
