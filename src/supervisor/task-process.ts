import type { ProcessRef } from '../shared/identifiers.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { Exit, Stdio } from '../shared/messages/index.ts';
import type { StoredExit } from '../store/exit-store.ts';
import { type ProcessState, pidOf } from './process-state.ts';
import { Waiters } from './waiters.ts';

/** Of a process that is over, and of which no more is known. */
export const noStdio: Stdio = { stdin: '', stdout: '', stderr: '', terminal: false };

/** A task's init or one of its execs, in one incarnation: created again under the same id it is another object. */
export class TaskProcess {
  readonly ref: ProcessRef;
  readonly stdio: Stdio;
  /** Those who wait for the exit. Rejected where the process goes without one. */
  readonly waiters = new Waiters<StoredExit>();
  /** True once the daemon itself sent SIGKILL: its 137 needs no out-of-memory event to explain it. */
  killed = false;
  /** Pause and Resume calls under way. */
  freezing = 0;
  /** What the latest pause or resume event of it said. */
  frozenTold: 'paused' | 'running' = 'running';
  /** A delete under way; a second caller joins it. */
  deletion: Promise<Exit> | undefined;
  /** An exec whose addition went wrong, until the shim has it no more: its id is not free before. Never rejects. */
  undone: Promise<void> | undefined;
  readonly #logger: Logger;
  #state: ProcessState;

  constructor(ref: ProcessRef, stdio: Stdio, state: ProcessState, logger: Logger) {
    this.ref = ref;
    this.stdio = stdio;
    this.#state = state;
    this.#logger = logger;
  }

  get state(): ProcessState {
    return this.#state;
  }

  get pid(): number {
    return pidOf(this.#state);
  }

  /** Only this changes the state. */
  set(state: ProcessState): void {
    const from = this.#state.kind;
    this.#state = state;
    const { namespace, task, exec } = this.ref;
    this.#logger.debug('process state', {
      namespace,
      task,
      ...(exec === undefined ? {} : { exec }),
      from,
      to: state.kind,
      pid: this.pid,
    });
  }
}
