import { constants } from 'node:fs';
import {
  type FileHandle,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  rmdir,
  symlink,
  unlink,
} from 'node:fs/promises';
import { hasCode, invalidArgument, isErrnoException, TaskError } from '../../src/shared/errors/index.ts';
import { openRegularFile } from './regular-file.ts';

export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
  /** Of the last change. */
  readonly time: Date;
}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

const isErrno = (error: unknown, ...codes: string[]): boolean => isErrnoException(error) && codes.includes(error.code);

/**
 * Makes and removes files below one directory, and nowhere else, whoever changes what is below it meanwhile. A name is walked
 * part by part, each opened relative to the one before without following links; the last part is never followed. Node has no
 * openat(2): a descriptor's entry in /proc/self/fd, with a name behind it, is the same to the kernel.
 */
export class ConfinedDirectory implements AsyncDisposable {
  readonly #top: FileHandle;

  private constructor(top: FileHandle) {
    this.#top = top;
  }

  /** `directory` itself may be reached through links: it is the caller's choice. */
  static async open(directory: string): Promise<ConfinedDirectory> {
    return new ConfinedDirectory(await open(directory, O_RDONLY | O_DIRECTORY));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#top.close();
  }

  /** Makes a directory, or takes the one that is there. */
  directory(parts: readonly string[], ownership: Ownership): Promise<void> {
    return this.#at(parts, async (file) => {
      const found = await lstat(file).catch(() => undefined);
      if (found !== undefined && !found.isDirectory()) await unlink(file);
      if (found === undefined || !found.isDirectory()) await mkdir(file, { mode: 0o700 });
      await this.#own(file, ownership);
    });
  }

  /** Makes a regular file in the place of whatever has the name, and has `write` fill it. */
  file(parts: readonly string[], ownership: Ownership, write: (file: FileHandle) => Promise<void>): Promise<void> {
    return this.#at(parts, async (file) => {
      await removeWhole(file);
      const handle = await open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      try {
        await write(handle);
        await handle.chown(ownership.uid, ownership.gid);
        // After the owner: changing it takes the set-id bits away.
        await handle.chmod(ownership.mode);
        await handle.utimes(ownership.time, ownership.time);
      } finally {
        await handle.close();
      }
    });
  }

  /**
   * Opens a regular file for reading. What has the name is looked at before it is opened, so that a FIFO or a device does
   * not even notice. Throws FAILED_PRECONDITION for whatever is no file, links included, NOT_FOUND where there is nothing.
   */
  read(parts: readonly string[]): Promise<FileHandle> {
    return this.#at(parts, (file) => openRegularFile(file, parts.join('/')));
  }

  /** Makes a symbolic link. Where it points to is its container's business: nobody here follows it. */
  symlink(parts: readonly string[], target: string, ownership: Ownership): Promise<void> {
    return this.#at(parts, async (file) => {
      await removeWhole(file);
      await symlink(target, file);
      await lchown(file, ownership.uid, ownership.gid);
      await lutimes(file, ownership.time, ownership.time);
    });
  }

  /** Makes a further name of a regular file below the directory. */
  hardLink(parts: readonly string[], target: readonly string[]): Promise<void> {
    return this.#at(target, async (from) => {
      if (!(await lstat(from)).isFile())
        throw invalidArgument(`a link to ${target.join('/')}, which is no regular file`);
      await this.#at(parts, async (file) => {
        await removeWhole(file);
        await link(from, file);
      });
    });
  }

  /** Removes whatever has the name; that there is nothing is fine. */
  async remove(parts: readonly string[]): Promise<void> {
    try {
      await this.#at(parts, removeWhole);
    } catch (error) {
      if (!isErrno(error, 'ENOENT') && !hasCode(error, 'NOT_FOUND')) throw error;
    }
  }

  /** Removes everything in a directory, and leaves the directory. */
  async empty(parts: readonly string[], except: ReadonlySet<string>): Promise<void> {
    const directory = await this.#walk(parts);
    try {
      const here = below(directory);
      for (const name of await readdir(here('.'))) {
        if (!except.has([...parts, name].join('/'))) await removeWhole(here(name));
      }
    } finally {
      await directory.close();
    }
  }

  /** Calls `work` with a path of the last part that leads through no link. Throws INVALID_ARGUMENT for a name that is none. */
  async #at<T>(parts: readonly string[], work: (file: string) => Promise<T>): Promise<T> {
    const last = parts.at(-1);
    if (last === undefined) throw invalidArgument('an empty name');
    const parent = await this.#walk(parts.slice(0, -1));
    try {
      return await work(below(parent)(last));
    } finally {
      await parent.close();
    }
  }

  async #walk(parts: readonly string[]): Promise<FileHandle> {
    let current = await open(`/proc/self/fd/${this.#top.fd}/.`, O_RDONLY | O_DIRECTORY);
    for (const part of parts) {
      try {
        const next = await open(below(current)(part), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        await current.close();
        current = next;
      } catch (error) {
        await current.close();
        if (isErrno(error, 'ELOOP', 'ENOTDIR')) {
          throw new TaskError('INVALID_ARGUMENT', `${parts.join('/')}: ${part} is no directory, or a link`, {
            cause: error,
          });
        }
        throw error;
      }
    }
    return current;
  }

  async #own(file: string, { uid, gid, mode, time }: Ownership): Promise<void> {
    await lchown(file, uid, gid);
    // A directory that was made or seen just now; a link put in its place since is not followed.
    const handle = await open(file, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      await handle.chmod(mode);
      await handle.utimes(time, time);
    } finally {
      await handle.close();
    }
  }
}

/** Paths of the names in an open directory. */
function below(directory: FileHandle): (name: string) => string {
  return (name) => {
    if (name === '' || name === '..' || name.includes('/') || name.includes('\0')) {
      throw invalidArgument(`${JSON.stringify(name)} is no name of a file`);
    }
    return `/proc/self/fd/${directory.fd}/${name}`;
  };
}

/** Without following a link, at whatever depth. */
async function removeWhole(file: string): Promise<void> {
  try {
    await unlink(file);
    return;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    // Linux says EISDIR of a directory, POSIX EPERM.
    if (!isErrno(error, 'EISDIR', 'EPERM')) throw error;
  }
  const directory = await open(file, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const here = below(directory);
    for (const name of await readdir(here('.'))) await removeWhole(here(name));
  } finally {
    await directory.close();
  }
  await rmdir(file);
}
