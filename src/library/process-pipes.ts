import { randomBytes } from 'node:crypto';
import { closeSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import path from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { invalidArgument, isErrnoException } from '../shared/errors/index.ts';
import { mkfifo, openFifoForChild, openFifoReader, openFifoWriter } from '../shared/host/index.ts';
import type { Stdio } from '../shared/messages/index.ts';
import type { ProcessIo } from './options.ts';
import type { Streams } from './task.ts';

/** How long a shim may take to open the input of a process that was created, in milliseconds. */
const shimPatience = 10_000;

/**
 * The stdio of one process: what the supervisor is told, and this program's ends of it. FIFOs between the shim and us, so the
 * supervisor never touches what goes through; ours are opened before the shim's, so nothing is lost and no open blocks.
 */
export class ProcessPipes {
  readonly stdio: Stdio;
  readonly streams: Streams;
  readonly #directory: string | undefined;
  readonly #outputs: readonly Socket[];
  readonly #input: { readonly fifo: string; readonly source: PassThrough } | undefined;
  readonly #closing = new AbortController();
  #keeper: number | undefined;

  /** FIFOs are made in a directory of their own under `parent`. Closed whatever becomes of the process. */
  static async open(parent: string, io: ProcessIo): Promise<ProcessPipes> {
    const plain = plainStdio(io);
    if (plain !== undefined) return new ProcessPipes(plain, undefined);
    const directory = path.join(parent, randomBytes(8).toString('hex'));
    await mkdir(directory, { recursive: true, mode: 0o700 });
    try {
      return new ProcessPipes(io, directory);
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(io: Stdio | ProcessIo, directory: string | undefined) {
    this.#directory = directory;
    if ('terminal' in io || directory === undefined) {
      this.stdio = { stdin: '', stdout: '', stderr: '', terminal: false, ...io };
      this.#outputs = [];
      this.streams = { stdin: endedInput(), stdout: Readable.from([]), stderr: Readable.from([]) };
      return;
    }
    const fifo = (name: string): string => {
      const file = path.join(directory, name);
      mkfifo(file, 0o600);
      return file;
    };
    const file = fileOf(io);
    const piped = io.output === 'pipe';
    const stdout = piped ? fifo('stdout') : file;
    const stderr = piped ? fifo('stderr') : file;
    const stdin = io.stdin === 'pipe' ? fifo('stdin') : '';
    this.stdio = { stdin, stdout, stderr, terminal: false };
    this.#outputs = piped ? [openFifoReader(stdout), openFifoReader(stderr)] : [];
    // Whoever reads it gets the error all the same; nobody else has to listen.
    for (const output of this.#outputs) output.on('error', () => undefined);
    const [out = Readable.from([]), err = Readable.from([])] = this.#outputs;
    if (stdin !== '') {
      this.#keeper = openFifoForChild(stdin);
      this.#input = { fifo: stdin, source: new PassThrough() };
    }
    this.streams = { stdin: this.#input?.source ?? endedInput(), stdout: out, stderr: err };
  }

  /**
   * To be called once the shim knows the process: from now on what is written goes to it. `onEnd` is called where all of it was passed
   * on, to tell the shim that no more comes.
   */
  passInput(onEnd: () => Promise<void>): void {
    void this.#passInput(onEnd).catch(() => this.#input?.source.destroy());
  }

  /** Resolves when every stream has ended or was closed, and the FIFOs are removed. */
  async ended(): Promise<void> {
    await Promise.all([...this.#outputs, ...(this.#input === undefined ? [] : [this.#input.source])].map(closed));
    await this.close();
  }

  /** The process is gone: nobody takes input any more, and output that nobody reads would be kept open for ever. */
  abandon(): void {
    this.#input?.source.destroy();
    for (const output of this.#outputs) {
      const isRead = output.readableFlowing !== null || output.listenerCount('readable') > 0;
      if (!isRead) output.destroy();
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#releaseKeeper();
    for (const output of this.#outputs) output.destroy();
    this.#input?.source.destroy();
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
  }

  async #passInput(onEnd: () => Promise<void>): Promise<void> {
    if (this.#input === undefined) return;
    const { fifo, source } = this.#input;
    source.on('error', () => undefined);
    const writer = await this.#openWriter(fifo);
    await pipeline(source, writer, { signal: this.#closing.signal });
    await onEnd();
  }

  /** Nothing is written before a reader other than ourselves is there: bytes in a FIFO that nobody has open are lost. */
  async #openWriter(fifo: string): Promise<Socket> {
    this.#releaseKeeper();
    const { signal } = this.#closing;
    for (const end = Date.now() + shimPatience; ; ) {
      try {
        return openFifoWriter(fifo);
      } catch (error) {
        if (!isErrnoException(error) || error.code !== 'ENXIO' || Date.now() >= end) throw error;
      }
      await delay(5, undefined, { signal });
    }
  }

  #releaseKeeper(): void {
    if (this.#keeper === undefined) return;
    closeSync(this.#keeper);
    this.#keeper = undefined;
  }
}

/** What needs no FIFO; undefined for the rest. */
function plainStdio(io: ProcessIo): Stdio | undefined {
  if (io.stdio !== undefined) {
    if (io.stdin !== undefined || io.output !== undefined) {
      throw invalidArgument('stdio cannot go with stdin and output: give it, or them: invalid argument');
    }
    const { stdin = '', stdout = '', stderr = '', terminal = false } = io.stdio;
    return { stdin, stdout, stderr, terminal };
  }
  if (io.stdin === 'pipe' || io.output === 'pipe') return undefined;
  const file = fileOf(io);
  return { stdin: '', stdout: file, stderr: file, terminal: false };
}

function fileOf({ output }: ProcessIo): string {
  if (typeof output !== 'object') return '';
  return `file://${path.resolve(output.file)}`;
}

function endedInput(): Writable {
  const input = new Writable({ write: (_chunk, _encoding, done) => done() });
  input.end();
  return input;
}

function closed(stream: Readable | Writable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once('close', resolve);
  });
}
