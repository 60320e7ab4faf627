import { hasCode, isErrnoException } from '../../shared/errors/index.ts';
import { tasksDefinition } from '../../shared/grpc/index.ts';
import type { Daemon } from '../client/daemon.ts';
import { type ProcessExit, type ProcessName, waitForExit } from '../client/wait-for-exit.ts';
import type { Context } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { Failure, oneLine } from '../failure.ts';
import { asksToEnd, type ForwardedSignal, onForwardedSignal, signalNumber } from './signals.ts';
import type { ForegroundStdio } from './stdio.ts';
import type { Terminal } from './terminal.ts';

const sigkill = 9;
const sigpipe = 13;
/** So many interrupts from the keyboard within `insistence` milliseconds mean that the user wants it dead. */
const insistentInterrupts = 3;
const insistence = 2000;
const signalTimeout = 10_000;
/** How long a signal waits for a start under way, in milliseconds; then one that asks to end gives the start up. */
const startPatience = 2000;

/**
 * One process in the foreground, from before it is created until its status is known: signals to us become signals to
 * it, our terminal is its terminal.
 */
export class Foreground {
  readonly #context: Context;
  readonly #daemon: Daemon;
  readonly #name: ProcessName;
  readonly #terminal: Terminal | undefined;
  readonly #abandoned = new AbortController();
  readonly #releaseSignals: () => void;
  /** Undoes what was done to our terminal. */
  readonly #terminalUndo: (() => void)[] = [];
  /** `starting`: the program may run already, while the answer that says so is on its way. */
  #phase: 'before' | 'starting' | 'running' = 'before';
  /** Signals that came while it was starting. */
  #held: ForwardedSignal[] = [];
  #patience: NodeJS.Timeout | undefined;
  #reachable = true;
  #outputGone = false;
  #interrupts: number[] = [];
  /** Signals and sizes are sent one after the other: two at once could arrive in the other order. */
  #sending: Promise<void> = Promise.resolve();

  constructor(context: Context, daemon: Daemon, name: ProcessName, terminal: Terminal | undefined) {
    this.#context = context;
    this.#daemon = daemon;
    this.#name = name;
    this.#terminal = terminal;
    this.#releaseSignals = onForwardedSignal((signal) => this.#caught(signal));
  }

  /** Aborted when the user gives up; every call before the process runs takes it. */
  get signal(): AbortSignal {
    return this.#abandoned.signal;
  }

  /** For `StdioRequest`: as a local program that writes into a pipe without reader, the process ends by it. */
  outputFailed(error: unknown): void {
    if (!isErrnoException(error) || error.code !== 'EPIPE') {
      this.#context.warn(`cannot write the program's output, the rest of it is dropped: ${oneLine(error)}`);
      return;
    }
    if (this.#outputGone) return;
    this.#outputGone = true;
    if (this.#phase === 'running') this.#send(sigkill);
  }

  /** Starts the created process with `start`, and resolves with its status when it has ended and all output is out. */
  async run(stdio: ForegroundStdio, start: () => Promise<unknown>): Promise<number> {
    this.#phase = 'starting';
    await start().finally(() => clearTimeout(this.#patience));
    this.#phase = 'running';
    for (const signal of this.#held.splice(0)) this.#caught(signal);
    if (this.#outputGone) this.#send(sigkill);
    if (this.#terminal) {
      this.#terminalUndo.push(this.#terminal.raw());
      this.#terminalUndo.push(this.#terminal.onResize(() => this.#resize()));
      // The size that the spec says was read a moment ago, and not every runtime heeds it.
      this.#resize();
    }
    const input = this.#passInput(stdio);
    const exit = await this.#wait();
    // Before our input is let go: a stream that is closed cannot change its terminal's mode any more.
    this.#releaseTerminal();
    await stdio.drained();
    await input;
    return this.#outputGone && exit.status === 128 + sigkill ? 128 + sigpipe : exit.status;
  }

  /** Gives signals and the terminal back; idempotent. */
  close(): void {
    clearTimeout(this.#patience);
    this.#releaseTerminal();
    this.#releaseSignals();
  }

  #releaseTerminal(): void {
    for (const undo of this.#terminalUndo.splice(0)) undo();
  }

  async #passInput(stdio: ForegroundStdio): Promise<void> {
    if (stdio.paths.stdin === '') return;
    const ended = await stdio.passInput(process.stdin);
    process.stdin.destroy();
    if (!ended) return;
    // The shim holds a writing end of its own: without this call the process would never see the end.
    await this.#quietly(
      this.#daemon.call(
        tasksDefinition.closeIO,
        this.#name.namespace,
        { containerId: this.#name.task, execId: this.#name.exec, stdin: true },
        { timeout: signalTimeout },
      ),
      'tell the program that its input has ended',
    );
  }

  async #wait(): Promise<ProcessExit> {
    const { address } = this.#daemon;
    try {
      return await waitForExit(this.#daemon, this.#name, this.signal, {
        lost: () => {
          this.#reachable = false;
          this.#context.warn(`lost the daemon at ${address}; the program runs on, waiting for the daemon to come back`);
        },
        back: () => {
          this.#reachable = true;
          this.#context.warn('the daemon is back');
        },
      });
    } catch (error) {
      if (this.signal.aborted) throw this.signal.reason;
      if (!hasCode(error, 'NOT_FOUND')) throw error;
      throw new Failure(exitStatus.shimd, `${this.#name.task} was removed before its status was known`, {
        cause: error,
      });
    }
  }

  #caught(signal: ForwardedSignal): void {
    if (this.#phase !== 'running') {
      this.#caughtBefore(signal);
      return;
    }
    if (!this.#reachable && asksToEnd(signal)) {
      this.#abandon(signal, `the daemon is not there to pass ${signal} on; '${this.#name.task}' runs on without us`);
      return;
    }
    if (signal === 'SIGINT' && this.#insists()) {
      this.#context.warn('the program ignores SIGINT; sending SIGKILL');
      this.#send(sigkill);
      return;
    }
    this.#send(signalNumber(signal));
  }

  #caughtBefore(signal: ForwardedSignal): void {
    const giveUp = () => this.#abandon(signal, 'given up before the program was started');
    if (this.#phase === 'starting') {
      this.#held.push(signal);
      if (asksToEnd(signal)) this.#patience ??= setTimeout(giveUp, startPatience);
    } else if (asksToEnd(signal)) giveUp();
  }

  /** The first process of a pid namespace ignores every signal that it does not handle, so ctrl-C may do nothing. */
  #insists(): boolean {
    if (!process.stdin.isTTY) return false;
    const now = Date.now();
    this.#interrupts = [...this.#interrupts.filter((at) => now - at < insistence), now];
    return this.#interrupts.length >= insistentInterrupts;
  }

  #abandon(signal: ForwardedSignal, message: string): void {
    this.#abandoned.abort(new Failure(128 + signalNumber(signal), message));
  }

  #send(signal: number): void {
    const kill = () =>
      this.#quietly(
        this.#daemon.call(
          tasksDefinition.kill,
          this.#name.namespace,
          { containerId: this.#name.task, execId: this.#name.exec, signal, all: false },
          { timeout: signalTimeout },
        ),
        `pass signal ${signal} on`,
      );
    this.#sending = this.#sending.then(kill);
  }

  #resize(): void {
    const terminal = this.#terminal;
    if (!terminal) return;
    const resize = () =>
      this.#daemon
        .call(
          tasksDefinition.resizePty,
          this.#name.namespace,
          // Read when it is sent: the latest is the one that counts.
          { containerId: this.#name.task, execId: this.#name.exec, ...terminal.size },
          { timeout: signalTimeout },
        )
        // The process may be ending, in the runtime's own words: a size that does not arrive is no reason to speak.
        .then(
          () => undefined,
          () => undefined,
        );
    this.#sending = this.#sending.then(resize);
  }

  /** Calls about a process that may have ended meanwhile: that it has is no news. */
  async #quietly(call: Promise<unknown>, doing: string): Promise<void> {
    try {
      await call;
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND', 'FAILED_PRECONDITION')) return;
      this.#context.warn(`cannot ${doing}: ${oneLine(error)}`);
    }
  }
}
