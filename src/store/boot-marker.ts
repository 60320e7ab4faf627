import { closeSync, constants, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { isErrnoException, TaskError } from '../shared/errors/index.ts';

/**
 * Says whether a file that is not written through to the disk can be trusted: it can as long as the machine has not
 * been booted since, or was closed in order before. One small file holds the boot's id, and whether it was closed.
 */
export class BootMarker {
  readonly #file: string;
  readonly #boot: string;

  constructor(file: string) {
    this.#file = file;
    this.#boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  }

  /** False after a boot that nobody closed the file before. Written before the file is made, so without one there is nothing to distrust. */
  isTrusted(): boolean {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if (isErrnoException(error) && error.code === 'ENOENT') return true;
      throw TaskError.from(error, `read ${this.#file}`);
    }
    const [boot, state] = text.trim().split(' ');
    return boot === this.#boot || state === 'closed';
  }

  /** In place, so that it can be done on a full file system; a torn write is one that nobody trusts. */
  write(state: 'open' | 'closed'): void {
    const fd = openSync(this.#file, constants.O_WRONLY | constants.O_CREAT, 0o600);
    try {
      writeSync(fd, `${this.#boot} ${state.padEnd('closed'.length)}\n`, 0);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}
