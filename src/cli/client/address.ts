import path from 'node:path';
import { UsageError } from '../failure.ts';

/** grpc-js's name for a unix socket, given as a path or a `unix:` URI. Throws UsageError. */
export function dialTarget(address: string): string {
  return `unix:${socketPath(address)}`;
}

/** The absolute path of the daemon's socket. Throws UsageError for anything but a path or a `unix:` URI. */
export function socketPath(address: string): string {
  const file = address.replace(/^unix:(?:\/\/(?=\/))?/, '');
  if (file === '' || /^[a-z][a-z0-9+.-]*:\/\//i.test(file)) {
    throw new UsageError(`'${address}' is not the path of a unix socket, such as /run/shimd/shimd.sock`);
  }
  return path.resolve(file);
}
