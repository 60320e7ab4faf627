/**
 * The generated code of one message. `Init` is what may be given to `encode` (fields may be left out),
 * `Message` is what `decode` returns (proto3 defaults filled in on the message's prototype).
 */
export interface MessageType<Init, Message> {
  encode(message: Init): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
}

/**
 * One method of a gRPC service, for both ends: the client encodes a `RequestInit` and reads a `Response`, the
 * server reads a `Request` and encodes a `ResponseInit`. Usable as it is with grpc-js (`Server.addService`,
 * `Client.makeUnaryRequest`, `Client.makeServerStreamRequest`).
 */
interface Method<RequestInit, Request, ResponseInit, Response> {
  readonly path: string;
  readonly originalName: string;
  readonly requestStream: false;
  readonly requestSerialize: (message: RequestInit) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Request;
  readonly responseSerialize: (message: ResponseInit) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export interface UnaryMethod<RequestInit, Request, ResponseInit, Response>
  extends Method<RequestInit, Request, ResponseInit, Response> {
  readonly responseStream: false;
}

export interface ServerStreamMethod<RequestInit, Request, ResponseInit, Response>
  extends Method<RequestInit, Request, ResponseInit, Response> {
  readonly responseStream: true;
}

/** What a client sends: a plain object, fields may be left out. */
export type RequestInitOf<M> = M extends { requestSerialize: (value: infer T) => Buffer } ? T : never;
/** What a server receives. */
export type RequestOf<M> = M extends { requestDeserialize: (bytes: Buffer) => infer T } ? T : never;
/** What a server answers: a plain object, fields may be left out. */
export type ResponseInitOf<M> = M extends { responseSerialize: (value: infer T) => Buffer } ? T : never;
/** What a client receives. */
export type ResponseOf<M> = M extends { responseDeserialize: (bytes: Buffer) => infer T } ? T : never;

function serializer<Init>(type: { encode(message: Init): { finish(): Uint8Array } }): (message: Init) => Buffer {
  return (message) => {
    const bytes = type.encode(message).finish();
    return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function common<RequestInit, Request, ResponseInit, Response>(
  service: string,
  name: string,
  request: MessageType<RequestInit, Request>,
  response: MessageType<ResponseInit, Response>,
) {
  return {
    path: `/${service}/${name}`,
    originalName: name,
    requestStream: false as const,
    requestSerialize: serializer(request),
    requestDeserialize: (bytes: Buffer) => request.decode(bytes),
    responseSerialize: serializer(response),
    responseDeserialize: (bytes: Buffer) => response.decode(bytes),
  };
}

/** Defines `/service/name`: one request, one response. `service` holds its package (`containerd.services.tasks.v1.Tasks`). */
export function unary<RequestInit, Request, ResponseInit, Response>(
  service: string,
  name: string,
  request: MessageType<RequestInit, Request>,
  response: MessageType<ResponseInit, Response>,
): UnaryMethod<RequestInit, Request, ResponseInit, Response> {
  return { ...common(service, name, request, response), responseStream: false };
}

/** Defines `/service/name`: one request, a stream of responses. */
export function serverStream<RequestInit, Request, ResponseInit, Response>(
  service: string,
  name: string,
  request: MessageType<RequestInit, Request>,
  response: MessageType<ResponseInit, Response>,
): ServerStreamMethod<RequestInit, Request, ResponseInit, Response> {
  return { ...common(service, name, request, response), responseStream: true };
}
