import { closeSync, fdatasyncSync, fstatSync, openSync, writeSync } from 'node:fs';
import { isErrnoException, TaskError } from '../shared/errors/index.ts';

const chunk = Buffer.alloc(64 * 1024);
/** Blocks kept allocated beyond the last page that the database uses. */
const target = 256 * 1024;
/** What a transaction may need besides its values: the pages of the trees it changes and of the list of free pages. */
const overhead = 96 * 1024;

/**
 * Keeps blocks of the database file allocated ahead of LMDB. LMDB damages its own memory when a write fails for
 * lack of space, so it must never meet a full file system: space is taken here first, where failing does no harm.
 * Removals are always let through; they live from what the last put left.
 */
export class Reserve {
  readonly #fd: number;
  readonly #file: string;
  #allocated: number;

  constructor(file: string) {
    this.#file = file;
    this.#fd = openSync(file, 'r+');
    this.#allocated = fstatSync(this.#fd).size;
  }

  /**
   * Makes room for a transaction that writes `bytes` of values beyond `used`, the end of the last page in use.
   * Throws RESOURCE_EXHAUSTED where the file system has none.
   */
  ensure(used: number, bytes: number): void {
    const wanted = used + bytes + target;
    if (this.#allocated >= wanted) return;
    try {
      while (this.#allocated < wanted) this.#allocated += writeSync(this.#fd, chunk, 0, chunk.length, this.#allocated);
    } catch (error) {
      // What is there may still do for this one.
      if (this.#allocated >= used + bytes + overhead) return;
      const reason = isErrnoException(error) ? error.code : String(error);
      throw new TaskError(
        'RESOURCE_EXHAUSTED',
        `cannot store ${bytes} bytes in ${this.#file}: the file system has no room for them (${reason}), free some and try again: resource exhausted`,
        { cause: error },
      );
    }
  }

  /** Puts everything written so far on the disk. */
  flush(): void {
    fdatasyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
