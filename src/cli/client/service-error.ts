import type { ServiceError } from '@grpc/grpc-js';
import { codeOfNumber, TaskError } from '../../shared/errors/index.ts';
import { socketPath } from './address.ts';

/** No connection to the daemon could be made: nothing of what was asked has been done. */
export class DaemonNotReached extends TaskError {}

/** The daemon went away during the call: it may or may not have been done. */
export class ConnectionBroken extends TaskError {}

// `call cancelled` without our having cancelled is what a server that is torn down leaves its clients with.
const brokenOff =
  /connection dropped|call cancelled|rst_stream|socket closed|goaway|ECONNRESET|EPIPE|before receiving a response/i;

/** Makes the closed set's error of gRPC's; one about the connection itself says what to do. */
export function fromServiceError(error: ServiceError, address: string): TaskError {
  const code = codeOfNumber(error.code);
  const details = error.details;
  const socket = socketPath(address);
  if (code === 'UNAVAILABLE' && /no connection established|failed to connect|connect E/i.test(details)) {
    return new DaemonNotReached('UNAVAILABLE', `cannot reach the daemon at ${socket}: ${whyNotReached(details)}`, {
      cause: error,
    });
  }
  if (['UNAVAILABLE', 'INTERNAL', 'CANCELLED', 'UNKNOWN'].includes(code) && brokenOff.test(details)) {
    return new ConnectionBroken(
      'UNAVAILABLE',
      `the connection to the daemon at ${socket} broke off; see its log, and 'shimd ps' once it runs again`,
      { cause: error },
    );
  }
  return new TaskError(code, details, { cause: error });
}

function whyNotReached(details: string): string {
  if (details.includes('ENOENT')) {
    return "there is no such socket; start the daemon with 'shimd serve', or name its socket with --address";
  }
  if (details.includes('ECONNREFUSED')) return "nobody listens there; start the daemon with 'shimd serve'";
  if (/EACCES|EPERM/.test(details)) return 'you may not use that socket; run as the user that the daemon runs as';
  if (details.includes('ENOTSOCK')) return 'that file is not a socket; name the right one with --address';
  return details;
}
