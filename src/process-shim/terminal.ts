import { closeSync, constants, openSync, readdirSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import type { ReadStream } from 'node:tty';
import { TaskError } from '../shared/errors/index.ts';
import { closeInherited, type OpenStdio, openInput, openOutput, type Stdio } from './stdio.ts';

/** What of the pty library is used; its declarations leave out `open`, which gives a pair without a process. */
interface Pty {
  readonly master: ReadStream;
  readonly slave: ReadStream;
  readonly ptsName: string;
  resize(columns: number, rows: number): void;
}

interface PtyLibrary {
  open(options: { readonly cols: number; readonly rows: number; readonly encoding: null }): Pty;
}

const defaultSize = { width: 80, height: 24 };

/** How long the last output of a process that ended may take to reach a FIFO whose reader is slow. */
const drainBudget = 2_000;

/** A pseudo-terminal between a process and its stdio FIFOs. Only a terminal's bytes pass through the shim. */
export class Terminal {
  readonly #pty: Pty;
  readonly #input: Socket | undefined;
  readonly #output: Socket;
  readonly #drained: Promise<void>;
  #stdinKeeper: number | undefined;
  #slave: OpenStdio | undefined;

  private constructor(pty: Pty, slave: number, stdio: Stdio) {
    this.#pty = pty;
    this.#slave = { stdin: slave, stdout: slave, stderr: slave, stdinKeeper: undefined };
    const nonBlocking = constants.O_NONBLOCK;
    const output = openOutput(stdio.stdout, 'stdout', nonBlocking);
    this.#output = new Socket({ fd: output, readable: false, writable: true });
    this.#output.on('error', () => undefined);
    if (stdio.stdin !== '') {
      const input = openInput(stdio.stdin, nonBlocking);
      this.#stdinKeeper = input.keeper;
      this.#input = new Socket({ fd: input.fd, readable: true, writable: false });
      this.#input.on('error', () => undefined);
    }
    this.#drained = new Promise((resolve) => {
      this.#output.once('close', () => resolve());
    });
  }

  /** Throws INVALID_ARGUMENT for stdio that is no FIFO, and UNIMPLEMENTED where the host lacks the pty library's binary. */
  static open(stdio: Stdio, size: { readonly width: number; readonly height: number } = defaultSize): Terminal {
    const pty = loadLibrary().open({
      cols: size.width || defaultSize.width,
      rows: size.height || defaultSize.height,
      encoding: null,
    });
    let slave: number | undefined;
    try {
      // The library reads from its slave, which would take the process's input away, and throws at the master's end.
      for (const side of [pty.slave, pty.master]) side.removeAllListeners('error').removeAllListeners('close');
      const held = openSync(pty.ptsName, constants.O_RDWR | constants.O_NOCTTY);
      slave = held;
      // Destroying it closes at once what libuv has opened anew in place of the library's descriptor, and leaves that
      // one open: the master would never come to an end.
      pty.slave.destroy();
      for (const fd of descriptorsOf(pty.ptsName)) if (fd !== held) closeSync(fd);
      pty.master.pause();
      return new Terminal(pty, slave, stdio);
    } catch (error) {
      if (slave !== undefined) closeSync(slave);
      pty.master.destroy();
      throw error;
    }
  }

  /** The process's side, for its stdin, stdout and stderr. */
  get slave(): OpenStdio {
    if (this.#slave === undefined) throw new TaskError('INTERNAL', 'the slave side of the terminal is closed');
    return this.#slave;
  }

  /** To be called when the process has inherited it: output ends when no process holds it any more. */
  closeSlave(): void {
    if (this.#slave !== undefined) closeInherited(this.#slave);
    this.#slave = undefined;
  }

  /** Begins to pass bytes on, both ways, at the speed of the slower side. */
  start(): void {
    const { master } = this.#pty;
    // A master whose last slave was closed reads EIO: that is its end.
    master.on('error', () => this.#output.end());
    master.pipe(this.#output);
    // The end of stdin is no end of a terminal: a program there hears of it by ^D.
    this.#input?.pipe(master, { end: false });
  }

  closeStdin(): void {
    if (this.#stdinKeeper === undefined) return;
    closeSync(this.#stdinKeeper);
    this.#stdinKeeper = undefined;
  }

  resize(width: number, height: number): void {
    if (width > 0 && height > 0 && !this.#pty.master.destroyed) this.#pty.resize(width, height);
  }

  /** Waits a while for output that is still on its way, then ends both directions. Can be repeated. */
  async close(): Promise<void> {
    this.closeStdin();
    this.closeSlave();
    this.#input?.destroy();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, drainBudget);
    });
    await Promise.race([this.#drained, late]);
    clearTimeout(timer);
    this.#pty.master.destroy();
    this.#output.destroy();
  }
}

/** This process's descriptors of a file. */
function descriptorsOf(file: string): number[] {
  return readdirSync('/proc/self/fd')
    .filter((name) => {
      try {
        return readlinkSync(`/proc/self/fd/${name}`) === file;
      } catch {
        // The listing's own.
        return false;
      }
    })
    .map(Number);
}

let library: PtyLibrary | undefined;

/** Loaded with the first terminal: most shims never have one. */
function loadLibrary(): PtyLibrary {
  if (library !== undefined) return library;
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see PtyLibrary.
    library = createRequire(import.meta.url)('@lydell/node-pty') as PtyLibrary;
    return library;
  } catch (error) {
    throw new TaskError(
      'UNIMPLEMENTED',
      `this host has no build of the terminal library: ${String(error)}: not implemented`,
    );
  }
}
