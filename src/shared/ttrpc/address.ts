import { invalidArgument } from '../errors/index.ts';

/** Longest path of a unix socket: `sun_path` has 108 bytes, one for the end. Node silently cuts a longer one. */
export const maxSocketPath = 107;

/**
 * The path of a socket address: a bare path or `unix://path`.
 * Throws INVALID_ARGUMENT for any other scheme, an abstract or relative address, and a path over 107 bytes.
 */
export function socketPathOf(address: string): string {
  const path = address.startsWith('unix://') ? address.slice('unix://'.length) : address;
  const shown = JSON.stringify(address.slice(0, 200));
  if (path.startsWith('@') || path.includes('\0')) {
    throw invalidArgument(`socket address ${shown} is abstract: only absolute paths of sockets are used`);
  }
  if (!path.startsWith('/')) {
    throw invalidArgument(`socket address ${shown} is neither an absolute path nor unix:// and an absolute path`);
  }
  const length = Buffer.byteLength(path);
  if (length > maxSocketPath) {
    throw invalidArgument(
      `socket path ${shown} has ${length} bytes, the platform allows ${maxSocketPath}: use a shorter directory`,
    );
  }
  return path;
}
