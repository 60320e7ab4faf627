import { TtrpcClient } from '../../src/shared/ttrpc/client.ts';
import type { UnaryMethod } from '../../src/shared/ttrpc/method.ts';
import type { Bootstrap } from './bootstrap.ts';

export interface ShimCallOptions {
  /** Until when the answer is waited for, in milliseconds since 1970; the shim is not told. None: for as long as it takes. */
  readonly deadline?: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A connection to a shim, whatever protocol it speaks. */
export interface ShimConnection {
  /** Metadata key that carries the namespace. */
  readonly namespaceKey: string;
  /** Throws TaskError: the shim's own code and message, UNAVAILABLE when the connection closes, DEADLINE_EXCEEDED. */
  call<Req, Res>(method: UnaryMethod<Req, Res>, request: Req, options: ShimCallOptions): Promise<Res>;
  /** Resolves, once, with the reason when the connection is closed by either side. */
  readonly closed: Promise<Error>;
  /** Idempotent. */
  close(): void;
}

async function dialTtrpc(address: string, deadline: number): Promise<ShimConnection> {
  const client = await TtrpcClient.connect(address, { deadline });
  return {
    namespaceKey: 'containerd-namespace-ttrpc',
    call: (method, request, options) => client.call(method, request, options),
    closed: client.closed,
    close: () => client.close(),
  };
}

/**
 * Connects to a shim. Throws UNAVAILABLE at once where nothing listens at its address, DEADLINE_EXCEEDED where
 * something does but takes no connection.
 */
export async function dialShim(bootstrap: Bootstrap, deadline: number): Promise<ShimConnection> {
  if (bootstrap.protocol === 'ttrpc') return dialTtrpc(bootstrap.address, deadline);
  // gRPC takes its time to load and few shims speak it.
  const { dialGrpc } = await import('./grpc-connection.ts');
  return dialGrpc(bootstrap.address, deadline);
}
