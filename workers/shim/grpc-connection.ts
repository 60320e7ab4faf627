import grpc from '@grpc/grpc-js';
import { codeOfNumber, TaskError, unavailable } from '../../src/shared/errors/index.ts';
import { socketPathOf } from '../../src/shared/ttrpc/address.ts';
import { methodPath } from '../../src/shared/ttrpc/method.ts';
import { deferred } from '../../src/shared/util/deferred.ts';
import type { ShimConnection } from './connection.ts';
import { probeSocket } from './probe-socket.ts';

/** One message of the task API at most; the same on either protocol. */
const maxMessage = 4 << 20;

/** Resolves when a ready channel is no longer: gRPC itself would silently dial again, for ever. */
function untilDisconnected(client: grpc.Client, closed: (reason: Error) => void): void {
  const channel = client.getChannel();
  const { READY } = grpc.connectivityState;
  channel.watchConnectivityState(READY, Number.POSITIVE_INFINITY, (error) => {
    closed(unavailable(`the connection to the shim closed: ${error?.message ?? 'disconnected'}`));
  });
}

/** The gRPC form of a shim's connection. Throws like `dialShim`. */
export async function dialGrpc(address: string, deadline: number): Promise<ShimConnection> {
  const path = socketPathOf(address);
  // gRPC retries a refused connection until its deadline; a refusal has to be known at once.
  await probeSocket(path, deadline);
  const client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': maxMessage,
    'grpc.max_send_message_length': maxMessage,
  });
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(deadline, (error) => {
      if (error === undefined || error === null) resolve();
      else reject(new TaskError('DEADLINE_EXCEEDED', `connecting to ${path}: ${error.message}: deadline exceeded`));
    });
  }).catch((error: unknown) => {
    client.close();
    throw error;
  });
  const closed = deferred<Error>();
  untilDisconnected(client, (reason) => closed.resolve(reason));
  return {
    namespaceKey: 'containerd-namespace',
    closed: closed.promise,
    close() {
      client.close();
      closed.resolve(unavailable(`the connection to ${path} was closed`));
    },
    call: (method, request, options) =>
      new Promise((resolve, reject) => {
        const metadata = new grpc.Metadata();
        for (const [key, value] of Object.entries(options.metadata)) metadata.set(key, value);
        client.makeUnaryRequest(
          `/${methodPath(method)}`,
          (message: typeof request) => Buffer.from(method.encode(message)),
          (bytes: Buffer) => method.decode(bytes),
          request,
          metadata,
          options.deadline === undefined ? {} : { deadline: options.deadline },
          (error, response) => {
            if (error) {
              reject(new TaskError(codeOfNumber(error.code), error.details, { cause: error }));
            } else if (response === undefined) {
              reject(new TaskError('INTERNAL', `${methodPath(method)}: the shim answered nothing`));
            } else {
              resolve(response);
            }
          },
        );
      }),
  };
}
