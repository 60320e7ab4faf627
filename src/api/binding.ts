import { once } from 'node:events';
import {
  Metadata,
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import type { ServerStreamMethod, UnaryMethod } from '../shared/grpc/index.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { ActiveCall, ActiveCalls } from './active-calls.ts';
import { type CallContext, callContext } from './call-context.ts';
import { isAlarming, statusOf } from './status.ts';

/** What every method of a server shares. */
export interface Binder {
  readonly server: Server;
  readonly calls: ActiveCalls;
  readonly logger: Logger;
}

/** A method with its handler; adds itself to a server. */
export type Binding = (binder: Binder) => void;

/** All methods of a service definition, bound. */
export type Service<Definition> = { readonly [Name in keyof Definition]: Binding };

export interface UnaryOptions {
  /** The call lasts as long as the client likes: it is ended, not waited for, when the server closes. */
  readonly endless?: boolean;
}

/** A method with one answer. The handler throws TaskErrors, which become the call's status. */
export function unary<RequestInit, Request, ResponseInit, Response>(
  method: UnaryMethod<RequestInit, Request, ResponseInit, Response>,
  handler: (request: Request, context: CallContext) => Promise<ResponseInit> | ResponseInit,
  options: UnaryOptions = {},
): Binding {
  return ({ server, calls, logger }) => {
    const serve = async (call: ServerUnaryCall<Request, ResponseInit>): Promise<ResponseInit> => {
      const active = calls.enter(options.endless ?? false);
      call.on('cancelled', () => active.cancel());
      try {
        // It goes on after an abort; its failure concerns nobody then.
        return await active.whileActive(Promise.resolve(handler(call.request, callContext(call, active))));
      } finally {
        active.leave();
      }
    };
    server.register<Request, ResponseInit>(
      method.path,
      (call: ServerUnaryCall<Request, ResponseInit>, callback: sendUnaryData<ResponseInit>) => {
        const answer = async (): Promise<void> => {
          let response: ResponseInit;
          try {
            response = await serve(call);
          } catch (error) {
            callback(failure(error, method.path, logger));
            return;
          }
          callback(null, response);
        };
        void answer();
      },
      method.responseSerialize,
      method.requestDeserialize,
      'unary',
    );
  };
}

/**
 * A method with a stream of answers, as many as the handler yields, no faster than the client takes them. The response's
 * headers are sent as soon as the handler has begun: a client that has them misses nothing from then on.
 */
export function serverStream<RequestInit, Request, ResponseInit, Response>(
  method: ServerStreamMethod<RequestInit, Request, ResponseInit, Response>,
  handler: (request: Request, context: CallContext) => AsyncIterable<ResponseInit>,
): Binding {
  return ({ server, calls, logger }) => {
    server.register<Request, ResponseInit>(
      method.path,
      (call: ServerWritableStream<Request, ResponseInit>) => {
        const stream = async (): Promise<void> => {
          const active = calls.enter(true);
          call.on('cancelled', () => active.cancel());
          try {
            await pump(handler(call.request, callContext(call, active)), call, active);
          } finally {
            active.leave();
          }
        };
        stream().then(
          () => call.end(),
          (error: unknown) => call.emit('error', failure(error, method.path, logger)),
        );
      },
      method.responseSerialize,
      method.requestDeserialize,
      'serverStream',
    );
  };
}

async function pump<Request, Response>(
  source: AsyncIterable<Response>,
  call: ServerWritableStream<Request, Response>,
  active: ActiveCall,
): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    next.catch(() => undefined);
    call.sendMetadata(new Metadata());
    for (;;) {
      const { done, value } = await active.whileActive(next);
      if (done) return;
      if (!call.write(value)) await active.whileActive(once(call, 'drain', { signal: active.signal }));
      next = iterator.next();
      next.catch(() => undefined);
    }
  } finally {
    // Not waited for: an iterator that waits for its next value ends only with it.
    iterator.return?.().catch(() => undefined);
  }
}

function failure(error: unknown, method: string, logger: Logger): { code: number; details: string } {
  const status = statusOf(error);
  const fields = { method, code: status.code, error: status.details };
  if (isAlarming(error)) logger.error('call failed', { ...fields, stack: error instanceof Error ? error.stack : '' });
  else logger.debug('call failed', fields);
  return status;
}
