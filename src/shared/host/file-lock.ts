import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { isErrnoException } from '../errors/index.ts';
import { callLibc } from './libc.ts';
import { SystemError } from './system-error.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Another process holds the lock. */
export class FileLockedError extends Error {
  override readonly name = 'FileLockedError';
  readonly path: string;
  /** The holder, as it wrote itself into the file; undefined in the moment between its lock and its line. */
  readonly holder: number | undefined;

  constructor(path: string, holder: number | undefined) {
    super(`${path} is locked by ${holder === undefined ? 'another process' : `process ${holder}`}`);
    this.path = path;
    this.holder = holder;
  }
}

/**
 * An exclusive lock on a file. It ends with `release` or with the process, however that ends: it can never be stale.
 * The file itself stays, since removing it would let two processes lock two files of one name.
 */
export class FileLock implements Disposable {
  readonly path: string;
  #fd: number | undefined;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** Takes the lock and writes this process's id into the file. Throws FileLockedError at once where another holds it. */
  static acquire(path: string): FileLock {
    // Not truncated by the open: until the lock is ours, the content is the holder's.
    const fd = openSync(path, 'a+', 0o600);
    try {
      const result = callLibc((libc) => libc.flock(fd, LOCK_EX | LOCK_NB));
      if (!result.ok) {
        if (result.errno === constants.errno.EWOULDBLOCK) throw new FileLockedError(path, readHolder(path));
        throw new SystemError(result.errno, 'flock', path);
      }
      writeHolder(fd);
      return new FileLock(path, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Idempotent. */
  release(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Who holds it is a courtesy to the next one: on a full disk the lock is held without. */
function writeHolder(fd: number): void {
  ftruncateSync(fd, 0);
  try {
    writeSync(fd, `${process.pid}\n`);
  } catch (error) {
    if (!isErrnoException(error) || !['ENOSPC', 'EDQUOT'].includes(error.code)) throw error;
  }
}

function readHolder(path: string): number | undefined {
  const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

/** Same as `FileLock.acquire`. */
export function lockFile(path: string): FileLock {
  return FileLock.acquire(path);
}
