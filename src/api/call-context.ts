import type { ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { failedPrecondition } from '../shared/errors/index.ts';
import { type Namespace, parseNamespace } from '../shared/identifiers.ts';
import type { CallLimits } from './task-manager.ts';

export const namespaceHeader = 'containerd-namespace';

/** What a handler knows of its call besides the request. */
export interface CallContext {
  /** The client's deadline and a signal that is aborted when nobody waits for the answer any more. */
  readonly limits: CallLimits & { readonly signal: AbortSignal };
  /** Throws FAILED_PRECONDITION where the client named no namespace, INVALID_ARGUMENT where it is none. */
  namespace(): Namespace;
}

/** A call of grpc-js as far as its context goes. */
export type SurfaceCall = Pick<
  ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>,
  'metadata' | 'getDeadline'
>;

export function callContext(call: SurfaceCall, active: { readonly signal: AbortSignal }): CallContext {
  const deadline = Number(call.getDeadline());
  // The signal is made where it is asked for.
  const limits = {
    get signal() {
      return active.signal;
    },
  };
  return {
    limits: Number.isFinite(deadline) ? Object.assign(limits, { deadline }) : limits,
    namespace: () => {
      const [name] = call.metadata.get(namespaceHeader);
      if (name === undefined || name.length === 0) {
        throw failedPrecondition(
          `the call has no ${namespaceHeader} header: namespace is required: failed precondition`,
        );
      }
      return parseNamespace(name.toString());
    },
  };
}
