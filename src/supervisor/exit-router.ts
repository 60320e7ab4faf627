import type { ProcessRef, TaskRef } from '../shared/identifiers.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { Exit, ExitSource } from '../shared/messages/index.ts';
import { millisecondsOf, type Timestamp } from '../shared/wire/timestamp.ts';
import type { StoredExit } from '../store/exit-store.ts';
import type { ExitKeeper } from './exit-keeper.ts';
import { isRunning } from './process-state.ts';
import type { Registry } from './registry.ts';
import { isEmbedded } from './sharing.ts';
import type { Task } from './task.ts';
import type { TaskEvents } from './task-events.ts';
import type { TaskProcess } from './task-process.ts';

export interface ExitRouterOptions {
  readonly registry: Registry;
  readonly exits: ExitKeeper;
  readonly events: TaskEvents;
  readonly logger: Logger;
  /** Longest wait of an init's exit for its execs' exits, in milliseconds. Default 1 000. */
  readonly execHold?: number | undefined;
  /** Longest wait of a 137 for the out-of-memory event that would explain it, in milliseconds. Default 300. */
  readonly oomHold?: number | undefined;
}

interface Held {
  best: StoredExit;
  readonly since: number;
  /** No out-of-memory event is to come. */
  oomRuledOut?: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** Exits of one task that came before its pids are known, which say whose they are. */
const maxEarly = 16;
const trust: readonly ExitSource[] = ['wait', 'state', 'event', 'made-up'];

function moreTrusted(one: StoredExit, other: StoredExit): StoredExit {
  return trust.indexOf(other.source) < trust.indexOf(one.source) ? other : one;
}

/**
 * Every end of a process comes through here, from whoever saw it, in any order, any number of times; it leaves once, in
 * the store before it is told.
 *
 * Orders that happen and what becomes of them:
 * - exit before the reply to Create or Start: held until `created` or `settled`.
 * - a shim's event before the adoption of its task: held until that says the pid; it is better than a made-up exit.
 * - init's exit before its execs', where they end with it: held, at most `execHold`.
 * - a 137 that nobody here asked for: held for the out-of-memory event, until the kernel's count of such kills says that
 *   there is none, or where it is not known at most `oomHold`.
 * - an exit with another pid: that of an earlier process of the same id; dropped.
 * - a second exit: dropped, but a seen one after a made-up one corrects the store, silently.
 */
export class ExitRouter {
  readonly #options: ExitRouterOptions;
  readonly #logger: Logger;
  readonly #execHold: number;
  readonly #oomHold: number;
  readonly #held = new Map<TaskProcess, Held>();
  readonly #early = new Map<string, { readonly ref: ProcessRef; readonly exit: StoredExit }[]>();
  /** Tasks whose out-of-memory event was told. */
  readonly #oom = new WeakSet<Task>();

  constructor(options: ExitRouterOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#execHold = options.execHold ?? 1000;
    this.#oomHold = options.oomHold ?? 300;
  }

  /** Takes an exit from a report, a shim's event, an adoption or a reply. */
  exit(ref: ProcessRef, { pid, status, exitedAt }: Exit, source: ExitSource): void {
    const exit: StoredExit = { pid, status, exitedAt, source };
    const task = this.#options.registry.findTask(ref);
    if (task === undefined) {
      if (this.#options.registry.isReserved(ref)) this.#keepEarly(ref, exit);
      else this.#drop(ref, exit, 'no such task');
      return;
    }
    const process = task.process(ref.exec);
    const isUnknown = process === undefined || process.state.kind === 'unknown';
    if (isUnknown && source === 'event' && this.#options.events.recovering) this.#keepEarly(ref, exit);
    else if (process === undefined) this.#drop(ref, exit, 'no such process');
    else this.#offer(task, process, exit);
  }

  /**
   * A shim says that the kernel killed something in the task for want of memory, at a time. The event has no pid, and a shim
   * that found nobody to tell tries again for seconds: one from before the task was made is of an earlier one of its id.
   */
  oom(ref: TaskRef, at: Timestamp): void {
    const task = this.#options.registry.findTask(ref);
    if (task === undefined || millisecondsOf(at) < task.madeAt) return;
    this.#options.events.oom(ref);
    this.#oom.add(task);
    for (const process of task.processes()) this.#consider(task, process);
  }

  /** The process with this pid was not killed for want of memory. */
  oomRuledOut(ref: ProcessRef, pid: number): void {
    const task = this.#options.registry.findTask(ref);
    const process = task?.process(ref.exec);
    const held = process === undefined ? undefined : this.#held.get(process);
    if (task === undefined || process === undefined || held?.best.pid !== pid) return;
    held.oomRuledOut = true;
    this.#consider(task, process);
  }

  /** The reply to Create was handled, or the task is adopted: it is in the registry with its pids, and its event is out. */
  created(task: Task): void {
    const early = this.#early.get(keyOf(task.ref)) ?? [];
    this.#early.delete(keyOf(task.ref));
    for (const { ref, exit } of early) {
      const process = task.process(ref.exec);
      if (process !== undefined) this.#offer(task, process, exit);
    }
  }

  /** Create failed, its id is free again, or nothing more can come of it. */
  forgotten(ref: TaskRef): void {
    this.#early.delete(keyOf(ref));
  }

  /** The reply to Start was handled, whatever it was: what was held for it goes on. */
  settled(task: Task, process: TaskProcess): void {
    this.#consider(task, process);
  }

  /** Lets a held exit go at once: somebody waits for it to delete the process. False where none is held. */
  release(task: Task, process: TaskProcess): boolean {
    const held = this.#held.get(process);
    if (held === undefined || process.state.kind === 'starting') return false;
    this.#tell(task, process, held.best);
    return true;
  }

  /** The process is gone from the registry: nothing of it is told any more. */
  remove(process: TaskProcess): void {
    const held = this.#held.get(process);
    clearTimeout(held?.timer);
    this.#held.delete(process);
  }

  close(): void {
    for (const { timer } of this.#held.values()) clearTimeout(timer);
    this.#held.clear();
    this.#early.clear();
  }

  #offer(task: Task, process: TaskProcess, offered: StoredExit): void {
    const { state } = process;
    const exit = this.#withEarly(process.ref, offered);
    if (state.kind === 'stopped') {
      this.#repeat(process, state.exit, exit);
      return;
    }
    if (process.pid > 0 && exit.pid > 0 && process.pid !== exit.pid) {
      this.#drop(process.ref, exit, 'another pid');
      return;
    }
    const neverStarted = process.ref.exec !== undefined && (state.kind === 'created' || state.kind === 'start-failed');
    if (state.kind === 'adding' || state.kind === 'deleted' || (neverStarted && exit.source !== 'made-up')) {
      this.#drop(process.ref, exit, 'the process never ran');
      return;
    }
    const held = this.#held.get(process);
    if (held === undefined) this.#held.set(process, { best: exit, since: Date.now(), timer: undefined });
    else held.best = moreTrusted(held.best, exit);
    this.#consider(task, process);
  }

  #consider(task: Task, process: TaskProcess): void {
    const held = this.#held.get(process);
    // A held exit of a start under way has no limit of its own: the reply to Start has a deadline.
    if (held === undefined || process.state.kind === 'starting') return;
    if (process.pid > 0 && held.best.pid > 0 && process.pid !== held.best.pid) {
      this.remove(process);
      this.#drop(process.ref, held.best, 'another pid');
      return;
    }
    clearTimeout(held.timer);
    const wait = held.since + this.#holdOf(task, process, held) - Date.now();
    if (wait <= 0) this.#tell(task, process, held.best);
    else held.timer = setTimeout(() => this.#consider(task, process), wait);
  }

  /** Milliseconds that this exit waits for others, counted from when it came. */
  #holdOf(task: Task, process: TaskProcess, { best: exit, oomRuledOut }: Held): number {
    if (this.#options.events.recovering) return 0;
    const init = process === task.init;
    const execsRun = [...task.execs.values()].some((exec) => isRunning(exec.state) || exec.state.kind === 'starting');
    const forExecs = init && task.facts.ownsPidNamespace && execsRun ? this.#execHold : 0;
    const explained = process.killed || oomRuledOut === true || exit.source === 'made-up' || this.#oom.has(task);
    const tellsOom = task.shim !== undefined && !isEmbedded(task.shim.binary);
    const forOom = exit.status === 137 && !explained && tellsOom && isRunning(process.state) ? this.#oomHold : 0;
    return Math.max(forExecs, forOom);
  }

  #tell(task: Task, process: TaskProcess, exit: StoredExit): void {
    this.remove(process);
    const ran = process.pid > 0 || exit.pid > 0;
    const owed = ran && this.#options.events.owes(process.ref);
    // The end of a restored process can be known before its pid is.
    const known = exit.pid > 0 ? exit : { ...exit, pid: process.pid };
    // From here to its event nothing waits, and so no other event comes between them.
    const after = ran ? this.#options.events.cursor : undefined;
    const stored = this.#options.exits.store(process, { ...known, after, ...(owed ? { owed: 'anybody' } : {}) });
    process.set({ kind: 'stopped', exit: stored });
    if (ran) this.#options.events.exited(process, stored);
    process.waiters.resolve(stored);
    if (process !== task.init) this.#consider(task, task.init);
  }

  #repeat(process: TaskProcess, known: StoredExit, exit: StoredExit): void {
    if (known.source !== 'made-up' || exit.source === 'made-up' || (known.pid > 0 && known.pid !== exit.pid)) {
      this.#drop(process.ref, exit, 'told before');
      return;
    }
    const owed = this.#options.exits.get(process.ref)?.owed;
    process.set({ kind: 'stopped', exit: this.#options.exits.store(process, { ...exit, owed }) });
  }

  /** The best that is known of the end of the process that this exit is of. */
  #withEarly(ref: ProcessRef, exit: StoredExit): StoredExit {
    const early = this.#early.get(keyOf(ref)) ?? [];
    return early
      .filter((one) => one.ref.exec === ref.exec && one.exit.pid === exit.pid)
      .reduce((best, one) => moreTrusted(best, one.exit), exit);
  }

  #keepEarly(ref: ProcessRef, exit: StoredExit): void {
    const key = keyOf(ref);
    const early = this.#early.get(key) ?? [];
    if (early.length < maxEarly) early.push({ ref, exit });
    this.#early.set(key, early);
  }

  #drop(ref: ProcessRef, exit: StoredExit, reason: string): void {
    const { namespace, task, exec } = ref;
    this.#logger.debug('exit dropped', {
      namespace,
      task,
      ...(exec === undefined ? {} : { exec }),
      pid: exit.pid,
      source: exit.source,
      reason,
    });
  }
}

function keyOf({ namespace, task }: TaskRef): string {
  return `${namespace}/${task}`;
}
