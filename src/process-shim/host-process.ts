import { closeSync } from 'node:fs';
import { TaskError } from '../shared/errors/index.ts';
import { ExitLatch, now, type ProcessExit } from './exit-latch.ts';
import { type Launched, launch } from './launch.ts';
import type { Membership } from './membership.ts';
import { assertSignal, isFatal, sendSignal, signals } from './signals.ts';
import type { ProcessSpec } from './spec.ts';
import { closeInherited, openStdio, type Stdio } from './stdio.ts';
import type { Terminal } from './terminal.ts';

/**
 * - `added`: an exec that was announced and has no pid yet
 * - `starting`: its set-up is under way
 * - `created`: it has a pid, and its program does not run yet
 * - `running`
 * - `stopped`: it ended, or could not be started
 */
export type ProcessState = 'added' | 'starting' | 'created' | 'running' | 'stopped';

export interface HostProcessOptions {
  /** The task's id for its init, else the exec's. */
  readonly id: string;
  readonly stdio: Stdio;
  readonly spec: ProcessSpec;
  readonly ignoreIsolation: boolean;
  readonly membership: Membership;
  /**
   * Told of the end of a process that had its pid announced, exactly once; `finish` has to follow. Whoever waits is
   * answered only then, so that the task can bring its exits into order.
   */
  readonly onExit: (process: HostProcess, exit: ProcessExit) => void;
}

/** SIGSYS; the real-time signals come after it. */
const lastNamedSignal = 31;

/** One process of a task, its init or an exec, from its announcement to its delete. */
export class HostProcess {
  readonly id: string;
  readonly stdio: Stdio;
  readonly #membership: Membership;
  readonly #onExit: HostProcessOptions['onExit'];
  readonly #latch = new ExitLatch();
  readonly #ignoreIsolation: boolean;
  /** Dropped once it has been used: a shim holds many processes for long. */
  #spec: ProcessSpec | undefined;
  #launched: Launched | undefined;
  #state: ProcessState = 'added';
  #pid = 0;
  #announced = false;
  #ended: ProcessExit | undefined;
  #unnamedSignal: number | undefined;
  #stdinKeeper: number | undefined;
  #terminal: Terminal | undefined;

  constructor(options: HostProcessOptions) {
    this.id = options.id;
    this.stdio = options.stdio;
    this.#spec = options.spec;
    this.#ignoreIsolation = options.ignoreIsolation;
    this.#membership = options.membership;
    this.#onExit = options.onExit;
  }

  get state(): ProcessState {
    return this.#state;
  }

  /** 0 before it has one; kept after the end. */
  get pid(): number {
    return this.#pid;
  }

  /** Undefined until the exit may be told. */
  get exit(): ProcessExit | undefined {
    return this.#latch.exit;
  }

  /** True while the kernel has the process, also when its exit is seen but not told yet. */
  get isAlive(): boolean {
    return this.#pid > 0 && this.#ended === undefined;
  }

  /**
   * From `added` to `created`. A failure leaves nothing of the process and makes it `stopped`, without an exit time.
   * `announce` is for a process whose pid is told before it starts; an end that was seen meanwhile is told after it.
   */
  async create(announce?: (pid: number) => void): Promise<void> {
    const spec = this.#spec;
    if (this.#state !== 'added' || spec === undefined) throw new TaskError('UNKNOWN', startRefusal(this.#state));
    this.#state = 'starting';
    this.#spec = undefined;
    try {
      const launched = await this.#launch(spec);
      this.#pid = launched.pid;
      this.#membership.add(launched.pid);
      this.#launched = launched;
    } catch (error) {
      this.abandon();
      throw error;
    }
    this.#state = 'created';
    this.#terminal?.start();
    if (announce !== undefined) this.#announce(() => announce(this.#pid));
  }

  /** From `created` to `running`. `announce` is called first, so that nothing that the program does can be told before. */
  async start(announce: () => void): Promise<void> {
    const launched = this.#launched;
    if (this.#state !== 'created' || launched === undefined) throw new TaskError('UNKNOWN', startRefusal(this.#state));
    if (!this.isAlive) {
      if (!this.#announced) this.abandon();
      throw new TaskError('UNKNOWN', startRefusal('stopped'));
    }
    this.#launched = undefined;
    this.#state = 'running';
    this.#announce(announce);
    await launched.open();
  }

  /** Ends a process whose start has failed half way, and which nobody was told of: it has no exit, only an end. */
  abandon(): void {
    if (this.isAlive) sendSignal(this.#pid, signals.SIGKILL);
    this.#pid = 0;
    this.#state = 'stopped';
    this.#launched = undefined;
    this.closeStdin();
    void this.#terminal?.close();
    this.#terminal = undefined;
    this.#latch.set({ status: 0, at: undefined });
  }

  kill(signal: number): void {
    assertSignal(signal);
    switch (this.#state) {
      case 'added':
      case 'starting':
        throw new TaskError('FAILED_PRECONDITION', 'process not created: failed precondition');
      case 'stopped':
        throw alreadyFinished();
      default:
        this.expectSignal(signal);
        if (!this.isAlive || !sendSignal(this.#pid, signal)) throw alreadyFinished();
    }
  }

  /**
   * To be called before a signal is sent: Node does not know the names of real-time signals and reports a process that
   * one of them killed as ended with 0.
   */
  expectSignal(signal: number): void {
    if (signal > lastNamedSignal && this.isAlive && isFatal(this.#pid, signal)) this.#unnamedSignal = signal;
  }

  /** Lets the process see the end of its input once every other writer is gone. */
  closeStdin(): void {
    this.#terminal?.closeStdin();
    if (this.#stdinKeeper === undefined) return;
    closeSync(this.#stdinKeeper);
    this.#stdinKeeper = undefined;
  }

  resize(width: number, height: number): void {
    if (this.#state === 'stopped') throw new TaskError('UNKNOWN', 'cannot resize a stopped container');
    this.#terminal?.resize(width, height);
  }

  wait(signal?: AbortSignal): Promise<ProcessExit> {
    return this.#latch.wait(signal);
  }

  /** Makes the exit known. */
  finish(exit: ProcessExit): void {
    this.#state = 'stopped';
    this.#launched = undefined;
    this.closeStdin();
    this.#latch.set(exit);
  }

  /**
   * Waits until the terminal's last output has been passed on, for a while; then lets go of everything. Who still waits
   * for a process that was never started is answered.
   */
  async release(): Promise<void> {
    this.closeStdin();
    this.#latch.set({ status: 0, at: undefined });
    await this.#terminal?.close();
    this.#terminal = undefined;
  }

  async #launch(spec: ProcessSpec): Promise<Launched> {
    const onExit = (status: number): void => {
      const real = status === 0 && this.#unnamedSignal !== undefined ? 128 + this.#unnamedSignal : status;
      this.#ended = { status: real, at: now() };
      if (this.#announced) this.#onExit(this, this.#ended);
    };
    const extraEnvironment = this.#membership.environment;
    const common = { spec, ignoreIsolation: this.#ignoreIsolation, extraEnvironment, onExit };
    if (this.stdio.terminal) {
      const { Terminal } = await import('./terminal.ts');
      const terminal = Terminal.open(this.stdio, spec.consoleSize);
      this.#terminal = terminal;
      const launched = await launch({ ...common, stdio: terminal.slave, terminal: true });
      terminal.closeSlave();
      return launched;
    }
    const stdio = openStdio(this.stdio);
    this.#stdinKeeper = stdio.stdinKeeper;
    let launching: Promise<Launched>;
    try {
      launching = launch({ ...common, stdio, terminal: false });
    } finally {
      closeInherited(stdio);
    }
    return launching;
  }

  #announce(announce: () => void): void {
    announce();
    if (this.#announced) return;
    this.#announced = true;
    if (this.#ended !== undefined) this.#onExit(this, this.#ended);
  }
}

function startRefusal(state: ProcessState): string {
  return `cannot start a ${state === 'stopped' ? 'stopped' : 'running'} process`;
}

function alreadyFinished(): TaskError {
  return new TaskError('NOT_FOUND', 'process already finished: not found');
}
