import { randomBytes } from 'node:crypto';
import { lstatSync, type Stats } from 'node:fs';
import { chmod, lstat, rename, unlink } from 'node:fs/promises';
import type { Server } from 'node:net';
import path from 'node:path';
import { invalidArgument, TaskError } from '../shared/errors/index.ts';

/** Bytes of a path that fit into a socket's address; Node cuts a longer one without a word. */
const maxSocketPath = 107;

/** The file of a listening socket; removes itself unless another has taken its place. */
export interface SocketFile {
  /** False where it was removed, or another is in its place: nobody finds the server any more. */
  isThere(): boolean;
  remove(): Promise<void>;
}

/**
 * Makes `server` listen at `file`, in the place of whatever socket is there: the caller knows that nobody serves it.
 * The socket is never open to more than `mode` says: it is bound under a hidden name with no rights for others, and
 * takes its own name when it has its mode. Throws INVALID_ARGUMENT for a path that is too long.
 */
export async function listenAt(server: Server, file: string, mode: number): Promise<SocketFile> {
  const draft = path.join(path.dirname(file), `.${randomBytes(3).toString('hex')}`);
  for (const name of [file, draft]) {
    if (Buffer.byteLength(name) > maxSocketPath) {
      throw invalidArgument(
        `listen at ${name}: the path has ${Buffer.byteLength(name)} bytes, a socket's has at most ${maxSocketPath}, choose a shorter one: invalid argument`,
      );
    }
  }
  const found = statOf(file);
  if (found && !found.isSocket()) {
    throw new TaskError(
      'FAILED_PRECONDITION',
      `listen at ${file}: there is a file that is no socket: failed precondition`,
    );
  }
  try {
    await bind(server, draft);
    await chmod(draft, mode);
    const { ino } = await lstat(draft);
    await rename(draft, file);
    const isThere = () => statOf(file)?.ino === ino;
    return {
      isThere,
      remove: async () => {
        if (isThere()) await unlink(file).catch(() => undefined);
      },
    };
  } catch (error) {
    server.close();
    await unlink(draft).catch(() => undefined);
    throw TaskError.from(error, `listen at ${file}`);
  }
}

function bind(server: Server, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The file is made before `listen` returns, with the rights that the mask leaves.
    const mask = process.umask(0o177);
    try {
      server.listen({ path: file, backlog: 1024 }, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}

function statOf(file: string): Stats | undefined {
  return lstatSync(file, { throwIfNoEntry: false });
}
