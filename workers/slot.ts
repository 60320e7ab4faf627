import type { MessagePort } from 'node:worker_threads';
import { alreadyExists, notFound, unavailable } from '../src/shared/errors/index.ts';
import type { ProcessRef, ShimRef, TaskRef } from '../src/shared/identifiers.ts';
import { createLogger, type Logger, logLevels } from '../src/shared/log/logger.ts';
import type { Exit, Report, WorkerSettings } from '../src/shared/messages/index.ts';
import { deadlineIn } from '../src/shared/util/deadline.ts';
import { ExitReporter } from './exit-reporter.ts';
import { runVersion } from './shim/binary.ts';
import { BinaryFactsCache } from './shim/binary-facts.ts';
import type { Shim } from './shim/shim.ts';
import type { Task, TaskProcess } from './task.ts';

/** Exits of deletes that ended after their caller had given up, kept for the repeat. */
const maxLateDeletes = 1000;

export const shimKey = ({ namespace, shim }: ShimRef): string => `${namespace}/${shim}`;
export const taskKey = ({ namespace, task }: TaskRef): string => `${namespace}/${task}`;
export const processKey = (ref: ProcessRef): string => `${taskKey(ref)}/${ref.exec ?? ''}`;

/** Errors and other things that structured clone refuses become text. */
function cloneable(value: unknown): unknown {
  if (value instanceof Error) return value.message;
  return typeof value === 'function' || typeof value === 'symbol' ? String(value) : value;
}

/** Everything that one worker thread owns: its shims, their tasks, and the way to tell the supervisor. */
export class WorkerSlot {
  readonly settings: WorkerSettings;
  readonly logger: Logger;
  readonly exits: ExitReporter;
  readonly facts: BinaryFactsCache;
  readonly shims = new Map<string, Shim>();
  /** Creates of sandboxes by the key of their shim, until each has made it or undone what it made. Never reject. */
  readonly creatingSandboxes = new Map<string, Promise<void>>();
  /** Tasks by key. A task that is being created is here without its shim: `reserved`. */
  readonly tasks = new Map<string, Task>();
  readonly #reserved = new Set<string>();
  /** Adoptions under way, by shim: one waits for another, and so does whoever is to end a task that may be found by it. */
  readonly adoptions = new Map<string, Promise<unknown>>();
  readonly #removals = new Map<string, Promise<unknown>>();
  /** Tasks whose shim did not answer when it was adopted, with the reason. */
  readonly silent = new Map<string, string>();
  /** Tasks that need the shim of their group no longer, by key. */
  readonly leaving = new Set<string>();
  readonly #lateDeletes = new Map<string, Exit>();
  readonly #port: MessagePort;

  constructor(port: MessagePort, settings: WorkerSettings) {
    this.#port = port;
    this.settings = settings;
    const level = logLevels.find((name) => name === settings.logLevel) ?? 'info';
    this.logger = createLogger((at, message, fields) => {
      const plain = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, cloneable(value)]));
      this.report({ kind: 'log', level: at, message, fields: plain });
    }, level);
    this.exits = new ExitReporter({
      report: (report) => this.report(report),
      logger: this.logger,
      stateDeadline: settings.deadlines.state,
    });
    this.facts = new BinaryFactsCache((binary) => runVersion(binary, deadlineIn(settings.deadlines.cleanup)));
  }

  report(report: Report): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a MessagePort has one other end, not an origin
    this.#port.postMessage(report);
  }

  /** Takes a task's name for a create; throws ALREADY_EXISTS where it is taken. */
  reserve(ref: TaskRef): void {
    const key = taskKey(ref);
    if (this.tasks.has(key) || this.#reserved.has(key)) throw alreadyExists(`task ${ref.task}: already exists`);
    this.#reserved.add(key);
    this.leaving.delete(key);
    for (const late of this.#lateDeletes.keys()) if (late.startsWith(`${key}/`)) this.#lateDeletes.delete(late);
  }

  release(ref: TaskRef): void {
    this.#reserved.delete(taskKey(ref));
    this.leaving.delete(taskKey(ref));
  }

  isReserved(ref: TaskRef): boolean {
    return this.#reserved.has(taskKey(ref));
  }

  add(task: Task): void {
    this.tasks.set(taskKey(task.ref), task);
    this.silent.delete(taskKey(task.ref));
    task.shim.tasks.set(task.ref.task, task);
  }

  /** Of this very task only; where it is not here any more, nothing. */
  remove(task: Task): void {
    if (this.has(task)) {
      this.tasks.delete(taskKey(task.ref));
      this.leaving.delete(taskKey(task.ref));
    }
    if (task.shim.tasks.get(task.ref.task) === task) task.shim.tasks.delete(task.ref.task);
  }

  /** True while this very task is the one of its name: not where it was removed, and its name taken again. */
  has(task: Task): boolean {
    return this.tasks.get(taskKey(task.ref)) === task;
  }

  /** Throws NOT_FOUND for an unknown task, UNAVAILABLE for one that cannot be asked now. */
  task(ref: TaskRef): Task {
    const task = this.tasks.get(taskKey(ref));
    if (task?.state === 'live' && task.shim.state !== 'lost') return task;
    if (task !== undefined) throw unavailable(`the shim of task ${ref.task} is gone and its remains are being removed`);
    if (this.#reserved.has(taskKey(ref))) throw unavailable(`task ${ref.task} is still being created`);
    const reason = this.silent.get(taskKey(ref));
    if (reason !== undefined) throw unavailable(`the shim of task ${ref.task} does not answer: ${reason}`);
    throw notFound(`task ${ref.task} not found`);
  }

  /** Throws like `task`, and NOT_FOUND for an unknown exec. */
  process(ref: ProcessRef): { task: Task; process: TaskProcess } {
    const task = this.task(ref);
    const process = task.processes.get(ref.exec);
    if (process === undefined) throw notFound(`process does not exist ${ref.exec ?? ref.task}: not found`);
    return { task, process };
  }

  /**
   * Removes something of a task, one removal after the other: one that outlives the patience of whoever asked for it would
   * meet the next task of the name otherwise, which is not made before the last of them has been answered.
   */
  async removing<T>(ref: TaskRef, work: () => Promise<T>): Promise<T> {
    const key = taskKey(ref);
    const before = this.#removals.get(key)?.catch(() => undefined);
    const removal = Promise.resolve(before).then(work);
    this.#removals.set(key, removal);
    try {
      return await removal;
    } finally {
      if (this.#removals.get(key) === removal) this.#removals.delete(key);
    }
  }

  /** Throws UNAVAILABLE for a shim that is not here, or no longer takes calls. */
  liveShim(ref: ShimRef): Shim {
    const shim = this.shims.get(shimKey(ref));
    if (shim === undefined || shim.state !== 'live') {
      throw unavailable(`shim ${ref.shim} in namespace ${ref.namespace} is ${shim?.state ?? 'not running'}`);
    }
    return shim;
  }

  keepLateDelete(ref: ProcessRef, exit: Exit): void {
    this.#lateDeletes.set(processKey(ref), exit);
    const [oldest] = this.#lateDeletes.keys();
    if (this.#lateDeletes.size > maxLateDeletes && oldest !== undefined) this.#lateDeletes.delete(oldest);
  }

  /** The exit of a delete that ended too late for its caller; once. */
  takeLateDelete(ref: ProcessRef): Exit | undefined {
    const exit = this.#lateDeletes.get(processKey(ref));
    this.#lateDeletes.delete(processKey(ref));
    return exit;
  }
}
