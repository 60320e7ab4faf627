import { closeSync, constants, openSync, rmSync, writeSync } from 'node:fs';
import { mkfifo } from '../../shared/host/index.ts';

/** What many tasks wait for at once: each takes one line out of a FIFO, whether it comes before the line or after it. */
export class Gate implements Disposable {
  readonly path: string;
  /** Held for reading and writing: no task's opening blocks, and what nobody has taken yet stays. */
  readonly #descriptor: number;
  #closed = false;

  constructor(path: string) {
    this.path = path;
    mkfifo(path, 0o600);
    this.#descriptor = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  }

  /** For a shell: waits, and goes on when the gate opens. A single quote in the path would end the word. */
  get waiting(): string {
    return `read -r _ <'${this.path.replaceAll("'", `'\\''`)}'`;
  }

  /** Lets `tasks` tasks through. At most what a FIFO holds: 4096. */
  open(tasks: number): void {
    writeSync(this.#descriptor, '\n'.repeat(tasks));
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#descriptor);
    rmSync(this.path, { force: true });
  }
}
