import type { Readable } from 'node:stream';
import type { Stdio } from '../../shared/messages/index.ts';
import { FifoDirectory } from './fifo-directory.ts';
import { InputPump } from './input-pump.ts';
import { OutputPump } from './output-pump.ts';

export interface StdioRequest {
  readonly terminal: boolean;
  /** Whether our standard input is passed on. */
  readonly input: boolean;
  /** Where the output goes instead of to us: a `file://` URI. */
  readonly log?: string | undefined;
  /** Told where our own output takes no more (EPIPE, ENOSPC); the rest of it is dropped. */
  readonly onOutputFailed: (error: unknown) => void;
}

/** The stdio of a process that nobody attends: to a log, or nowhere. */
export function unattendedStdio(log: string | undefined): Stdio {
  // A shim that is given a `file://` for stdout alone dies of it.
  return { stdin: '', stdout: log ?? '', stderr: log ?? '', terminal: false };
}

/**
 * The stdio of a process in the foreground: FIFOs between the shim and us. The daemon never touches them, so neither
 * its end nor its pace matters to the process.
 */
export class ForegroundStdio {
  /** What the daemon is told. */
  readonly paths: Stdio;
  readonly #directory: FifoDirectory;
  readonly #outputs: readonly OutputPump[];
  readonly #input: InputPump | undefined;

  private constructor(
    paths: Stdio,
    directory: FifoDirectory,
    outputs: readonly OutputPump[],
    input: InputPump | undefined,
  ) {
    this.paths = paths;
    this.#directory = directory;
    this.#outputs = outputs;
    this.#input = input;
  }

  /** To be opened before the process is created, and closed whatever happens. */
  static async open(request: StdioRequest): Promise<ForegroundStdio> {
    const directory = await FifoDirectory.make();
    const outputs: OutputPump[] = [];
    const output = (name: string, descriptor: number): string => {
      const fifo = directory.add(name);
      outputs.push(new OutputPump(fifo, descriptor, request.onOutputFailed));
      return fifo;
    };
    try {
      const stdout = request.log ?? output('stdout', 1);
      // A terminal has one output.
      const stderr = request.terminal ? '' : (request.log ?? output('stderr', 2));
      const stdin = request.input ? directory.add('stdin') : '';
      const input = request.input ? new InputPump(stdin) : undefined;
      return new ForegroundStdio({ stdin, stdout, stderr, terminal: request.terminal }, directory, outputs, input);
    } catch (error) {
      for (const pump of outputs) pump.close();
      await directory.remove();
      throw error;
    }
  }

  /** Passes `input` on, once the process runs. Resolves with true where it came to its end. */
  async passInput(input: Readable): Promise<boolean> {
    return (await this.#input?.copy(input)) ?? false;
  }

  /** To be called once the process has ended: everything that it wrote is written when this resolves. */
  async drained(): Promise<void> {
    this.#input?.stop();
    await Promise.all(this.#outputs.map((output) => output.drained()));
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#input?.stop();
    for (const output of this.#outputs) output.close();
    await this.#directory.remove();
  }
}
