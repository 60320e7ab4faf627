import { invalidArgument, TaskError } from '../errors/index.ts';
import type { CallContext } from './call-context.ts';

type Awaitable<T> = T | Promise<T>;

/** A method with one message each way, in bytes. Whatever it throws becomes the call's status. */
export interface UnaryHandler {
  readonly kind: 'unary';
  handle(payload: Uint8Array, context: CallContext): Awaitable<Uint8Array>;
}

/** A method where at least one side sends any number of messages, in bytes. The iteration's end is the call's. */
export interface StreamHandler {
  readonly kind: 'stream';
  readonly clientStreams: boolean;
  readonly serverStreams: boolean;
  handle(requests: AsyncIterableIterator<Uint8Array>, context: CallContext): AsyncIterable<Uint8Array>;
}

export type MethodHandler = UnaryHandler | StreamHandler;

/** Handlers by full service name, then by method name. */
export type ServiceTable = Readonly<Record<string, Readonly<Record<string, MethodHandler>>>>;

interface Codec<Req, Res> {
  decode(bytes: Uint8Array): Req;
  encode(response: Res): Uint8Array;
}

export function unary<Req, Res>(
  codec: Codec<Req, Res>,
  handle: (request: Req, context: CallContext) => Awaitable<Res>,
): UnaryHandler {
  return {
    kind: 'unary',
    handle: async (payload, context) => codec.encode(await handle(decodeRequest(codec, payload), context)),
  };
}

/**
 * A streaming method out of an async generator. Where the client sends one message only, `requests` gives that one;
 * where the server does, the generator's first message is the reply.
 */
export function streaming<Req, Res>(
  codec: Codec<Req, Res> & { readonly clientStreams: boolean; readonly serverStreams: boolean },
  handle: (requests: AsyncIterable<Req>, context: CallContext) => AsyncIterable<Res>,
): StreamHandler {
  return {
    kind: 'stream',
    clientStreams: codec.clientStreams,
    serverStreams: codec.serverStreams,
    async *handle(requests, context) {
      for await (const response of handle(decodeAll(codec, requests), context)) yield codec.encode(response);
    },
  };
}

async function* decodeAll<Req>(
  codec: { decode(bytes: Uint8Array): Req },
  requests: AsyncIterable<Uint8Array>,
): AsyncGenerator<Req> {
  for await (const payload of requests) yield decodeRequest(codec, payload);
}

function decodeRequest<Req>(codec: { decode(bytes: Uint8Array): Req }, payload: Uint8Array): Req {
  try {
    return codec.decode(payload);
  } catch (error) {
    if (error instanceof TaskError) throw error;
    throw invalidArgument(`the request cannot be decoded: ${error instanceof Error ? error.message : String(error)}`);
  }
}
