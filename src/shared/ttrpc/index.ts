export { maxSocketPath, socketPathOf } from './address.ts';
export type { CallContext } from './call-context.ts';
export { type CallOptions, type ConnectOptions, TtrpcClient } from './client.ts';
export type { ClientStream } from './client-stream.ts';
export {
  type MethodHandler,
  type ServiceTable,
  type StreamHandler,
  streaming,
  type UnaryHandler,
  unary,
} from './handler.ts';
export { methodPath, type StreamMethod, type UnaryMethod } from './method.ts';
export { type ListenOptions, TtrpcServer, type TtrpcServerOptions } from './server.ts';
