import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, TaskError } from '../src/shared/errors/index.ts';
import type { Logger } from '../src/shared/log/logger.ts';
import type { Exit, ExitSource, Report } from '../src/shared/messages/index.ts';
import { deadlineIn } from '../src/shared/util/deadline.ts';
import { plainTimestamp } from '../src/shared/wire/timestamp.ts';
import { killedNothing } from './shim/oom-kills.ts';
import { snapshotOf } from './shim/snapshot.ts';
import type { Task, TaskProcess } from './task.ts';

/** Status of a process that SIGKILL has ended: of the kernel's, where memory is short, as of anybody else's. */
const sigkilled = 137;

/** Longest pause between two tries of a Wait that a live shim refuses. */
const longestPause = 5000;

/** Holds a Wait open for each process, and reports each exit once, whoever learns of it first. */
export class ExitReporter {
  readonly #report: (report: Report) => void;
  readonly #logger: Logger;
  readonly #stateDeadline: number;

  constructor(options: {
    readonly report: (report: Report) => void;
    readonly logger: Logger;
    /** Budget of the State call after a failed Wait, in milliseconds. */
    readonly stateDeadline: number;
  }) {
    this.#report = options.report;
    this.#logger = options.logger;
    this.#stateDeadline = options.stateDeadline;
  }

  /** Notes an exit and reports it, unless one is known already. */
  settle(task: Task, process: TaskProcess, exit: Exit, source: ExitSource): void {
    if (process.exit !== undefined && !(process.madeUp && source !== 'made-up')) return;
    process.madeUp = source === 'made-up';
    if (source === 'wait' && process.untold !== undefined) task.shim.caughtUpAt = performance.now();
    this.note(process, exit);
    this.#report({ kind: 'exit', ...task.ref, exec: process.exec, ...exit, source });
    if (exit.status !== sigkilled || source === 'made-up' || task.killed) return;
    // Where it fails the exit waits a moment.
    this.#ruleOutOom(task, process, exit).catch(() => undefined);
  }

  /** The exit is told at once where no out-of-memory event can come before it. */
  async #ruleOutOom(task: Task, process: TaskProcess, { pid }: Exit): Promise<void> {
    if (await killedNothing(task.bundle)) {
      this.#report({ kind: 'oom-ruled-out', ...task.ref, exec: process.exec, pid });
    }
  }

  /** Notes an exit that is told in another way: as part of a reply. */
  note(process: TaskProcess, exit: Exit): void {
    process.exit = exit;
    process.exited.resolve(exit);
  }

  /** Holds a Wait open from now on, until the exit is known, the process is deleted or the shim is lost. Idempotent. */
  watch(task: Task, process: TaskProcess): void {
    if (process.watched || process.exit !== undefined) return;
    process.watched = true;
    this.#watch(task, process)
      .catch((error: unknown) => {
        this.#logger.warn('wait given up', {
          ...task.ref,
          exec: process.exec,
          reason: TaskError.from(error).message,
        });
      })
      .finally(() => {
        process.watched = false;
      });
  }

  async #watch(task: Task, process: TaskProcess): Promise<void> {
    const id = task.ref.task;
    const execId = process.exec ?? '';
    for (let pause = 50; ; pause = Math.min(pause * 2, longestPause)) {
      const client = task.shim.client;
      try {
        const { exitStatus, exitedAt } = await client.call((api) => api.wait, { id, execId });
        const time = plainTimestamp(exitedAt);
        // An exec whose start failed answers at once, status 0 without a time: it never ran.
        if (time === undefined) return;
        this.settle(task, process, { pid: process.pid, status: exitStatus, exitedAt: time }, 'wait');
        return;
      } catch (error) {
        if (this.#over(task, process)) return;
        // A closed connection is the lost shim's path to handle; it watches again where there is something to watch.
        if (hasCode(error, 'UNAVAILABLE')) return;
        this.#logger.warn('wait failed', { ...task.ref, exec: process.exec, reason: TaskError.from(error).message });
      }
      try {
        const deadline = deadlineIn(this.#stateDeadline);
        const snapshot = snapshotOf(await client.call((api) => api.state, { id, execId }, { deadline }), process);
        if (snapshot.exit !== undefined) {
          this.settle(task, process, snapshot.exit, 'state');
          return;
        }
      } catch (error) {
        if (this.#over(task, process) || hasCode(error, 'UNAVAILABLE', 'NOT_FOUND')) return;
      }
      await delay(pause, undefined, { ref: false });
      if (this.#over(task, process)) return;
    }
  }

  #over(task: Task, process: TaskProcess): boolean {
    return (
      process.exit !== undefined || process.deleted !== undefined || task.state !== 'live' || task.shim.state === 'lost'
    );
  }
}
