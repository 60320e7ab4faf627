import type { ServiceError } from '@grpc/grpc-js';
import { codeOfNumber, TaskError } from '../../shared/errors/index.ts';
import { socketPath } from './address.ts';

/** The connection to the daemon could not be made or broke off: what was asked may or may not have been done. */
export class DaemonUnreachable extends TaskError {
  constructor(message: string, cause: unknown) {
    super('UNAVAILABLE', message, { cause });
  }
}

const brokenOff = /connection dropped|rst_stream|socket closed|goaway|ECONNRESET|EPIPE|before receiving a response/i;

/** Makes the closed set's error of gRPC's; one about the connection itself says what to do. */
export function fromServiceError(error: ServiceError, address: string): TaskError {
  const code = codeOfNumber(error.code);
  const details = error.details;
  const socket = socketPath(address);
  if (code === 'UNAVAILABLE' && /no connection established|failed to connect|connect E/i.test(details)) {
    return new DaemonUnreachable(`cannot reach the daemon at ${socket}: ${whyNotReached(details)}`, error);
  }
  if (['UNAVAILABLE', 'INTERNAL', 'CANCELLED', 'UNKNOWN'].includes(code) && brokenOff.test(details)) {
    return new DaemonUnreachable(
      `the connection to the daemon at ${socket} broke off; see its log, and 'shimd ps' once it runs again`,
      error,
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
