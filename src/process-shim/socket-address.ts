import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Longest path that fits into a socket address; Node cuts a longer one silently. */
const maxSocketPath = 107;

/** Bytes that the server needs beyond the socket's path, to bind under a temporary name beside it. */
const temporaryNameRoom = 16;

export interface SocketIdentity {
  readonly grpcAddress: string;
  readonly namespace: string;
  /** The shim's id, or the name of the group of tasks that share it. */
  readonly id: string;
}

/** Where the shim listens: the same identity always gives the same path. Throws where no path under `directory` is short enough. */
export function socketPath(directory: string, identity: SocketIdentity): string {
  const hash = createHash('sha256')
    .update([identity.grpcAddress, identity.namespace, identity.id].join('\0'))
    .digest('hex')
    .slice(0, 32);
  const socket = path.join(directory, `${hash}.sock`);
  if (Buffer.byteLength(socket) + temporaryNameRoom > maxSocketPath) {
    throw new Error(
      `the socket directory ${directory} is too long: ${socket} has to stay under ${maxSocketPath - temporaryNameRoom} bytes; choose a shorter one`,
    );
  }
  return socket;
}

/** The directory for sockets where the daemon names none. */
export function defaultSocketDirectory(environment: Readonly<Record<string, string | undefined>>): string {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return '/run/containerd/s';
  const runtime = environment['XDG_RUNTIME_DIR'];
  if (runtime !== undefined && path.isAbsolute(runtime)) return path.join(runtime, 'shimd', 's');
  return path.join(tmpdir(), `shimd-${uid}`, 's');
}

/**
 * Makes the directory, 0700, where it is missing. Throws where another user owns it or may write to it: whoever can could
 * put a socket of their own in our place.
 */
export function ensureSocketDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const stat = lstatSync(directory);
  const uid = process.getuid?.() ?? stat.uid;
  if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o022) !== 0) {
    throw new Error(
      `the socket directory ${directory} is not a directory that only user ${uid} can write to: remove it or choose another`,
    );
  }
}
