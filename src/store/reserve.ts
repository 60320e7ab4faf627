import { closeSync, fdatasyncSync, fstatSync, openSync, statfsSync, writeSync } from 'node:fs';
import { isErrnoException, TaskError } from '../shared/errors/index.ts';

const chunk = Buffer.alloc(64 * 1024);
/** Blocks kept allocated beyond the last page that the database uses. */
const target = 512 * 1024;
/** What a transaction may need besides its values: the pages of the trees it changes and of the list of free pages. */
const overhead = 96 * 1024;
/** What each further change in the same transaction may need: the leaves of its trees, which share what is above them. */
const overheadOfMore = 12 * 1024;

/** File systems (by `statfs`'s type) that write a changed block elsewhere: an allocated one is no promise there. */
const copyOnWrite: ReadonlySet<number> = new Set([
  0x9123683e /* btrfs */, 0x2fc12fc1 /* zfs */, 0xca451a4e /* bcachefs */,
]);

/**
 * Keeps blocks of the database file allocated ahead of LMDB. LMDB damages its own memory when a write fails for
 * lack of space, so it must never meet a full file system: space is taken here first, where failing does no harm.
 * Removals live from what the last put left.
 */
export class Reserve {
  readonly #fd: number;
  readonly #file: string;
  readonly #copiesOnWrite: boolean;
  #allocated: number;

  constructor(file: string) {
    this.#file = file;
    this.#fd = openSync(file, 'r+');
    this.#allocated = fstatSync(this.#fd).size;
    this.#copiesOnWrite = copyOnWrite.has(statfsSync(file).type);
  }

  /**
   * Makes room for a transaction of so many changes that puts `bytes` of values, 0 where it only removes; `used` is the end of
   * the last page in use. Throws RESOURCE_EXHAUSTED where the file system has none.
   */
  ensure(used: number, bytes: number, changes = 1): void {
    const needed = bytes + overhead + (changes - 1) * overheadOfMore;
    if (this.#copiesOnWrite) this.#checkFree(bytes, needed);
    if (bytes > 0) this.#extend(used, bytes, needed);
  }

  #checkFree(bytes: number, needed: number): void {
    const { bavail, bsize } = statfsSync(this.#file);
    if (bavail * bsize < needed) throw this.#exhausted(bytes, 'ENOSPC');
  }

  #extend(used: number, bytes: number, needed: number): void {
    const wanted = used + Math.max(needed, bytes + target);
    if (this.#allocated >= wanted) return;
    try {
      while (this.#allocated < wanted) this.#allocated += writeSync(this.#fd, chunk, 0, chunk.length, this.#allocated);
    } catch (error) {
      // What is there may still do for this one.
      if (this.#allocated >= used + needed) return;
      throw this.#exhausted(bytes, isErrnoException(error) ? error.code : String(error), error);
    }
  }

  #exhausted(bytes: number, reason: string, cause?: unknown): TaskError {
    return new TaskError(
      'RESOURCE_EXHAUSTED',
      `cannot store ${bytes} bytes in ${this.#file}: the file system has no room for them (${reason}), free some and try again: resource exhausted`,
      { cause },
    );
  }

  /** Puts everything written so far on the disk. */
  flush(): void {
    fdatasyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
