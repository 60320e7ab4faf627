import { alreadyExists, notFound, unavailable } from '../shared/errors/index.ts';
import type { Namespace, ProcessRef, ShimId, TaskId, TaskRef } from '../shared/identifiers.ts';
import type { Shim } from './shim.ts';
import type { Task } from './task.ts';
import type { TaskProcess } from './task-process.ts';

/** An id taken by a create under way. Nobody sees the task before `commit`; one of the two ends it. */
export interface Reservation {
  commit(task: Task): void;
  /** The create went wrong: until `undone` resolves, which never rejects, the id has nobody and cannot be had. */
  undoing(undone: Promise<void>): void;
  /** Frees the id. Nothing after `commit`. */
  release(): void;
}

type Entry =
  | { readonly kind: 'reserved'; undone: Promise<void> | undefined }
  | { readonly kind: 'task'; readonly task: Task };

/** More ids were never let go between a worker's answer and its arrival. */
const maxLetGo = 1000;

const keyOf = ({ namespace, task }: TaskRef): string => `${namespace}/${task}`;

/** The tasks and shims of the host, by namespace and id. */
export class Registry {
  readonly #tasks = new Map<Namespace, Map<TaskId, Entry>>();
  readonly #shims = new Map<string, Shim>();
  /** Ids of tasks that were ended without their shim, which may still act on them. */
  readonly #held = new Map<string, Shim>();
  /** When such an id was let go; the latest of them. */
  readonly #letGo = new Map<string, number>();

  /** Throws ALREADY_EXISTS where the id has a task, ended ones included, or a create under way. */
  reserve(ref: TaskRef): Reservation {
    const tasks = this.#inNamespace(ref.namespace);
    if (tasks.has(ref.task)) throw alreadyExists(`task ${ref.task}: already exists`);
    const entry: Entry & { kind: 'reserved' } = { kind: 'reserved', undone: undefined };
    tasks.set(ref.task, entry);
    return {
      commit: (task) => {
        if (tasks.get(ref.task) === entry) tasks.set(ref.task, { kind: 'task', task });
      },
      undoing: (undone) => {
        entry.undone = undone;
      },
      release: () => {
        if (tasks.get(ref.task) === entry) this.#drop(ref);
      },
    };
  }

  findTask(ref: TaskRef): Task | undefined {
    const entry = this.#tasks.get(ref.namespace)?.get(ref.task);
    return entry?.kind === 'task' ? entry.task : undefined;
  }

  isReserved(ref: TaskRef): boolean {
    return this.#tasks.get(ref.namespace)?.get(ref.task)?.kind === 'reserved';
  }

  /** Resolves when what is left of a create of this id that went wrong is undone; undefined where there is no such. */
  undoing(ref: TaskRef): Promise<void> | undefined {
    const entry = this.#tasks.get(ref.namespace)?.get(ref.task);
    return entry?.kind === 'reserved' ? entry.undone : undefined;
  }

  findProcess(ref: ProcessRef): TaskProcess | undefined {
    return this.findTask(ref)?.process(ref.exec);
  }

  /** Throws NOT_FOUND, in the words that clients match. */
  task(ref: TaskRef): Task {
    const task = this.findTask(ref);
    if (task === undefined) throw notFound(`task ${ref.task} not found`);
    return task;
  }

  /** Throws NOT_FOUND for the task, or for an exec that nobody can see yet. */
  process(ref: ProcessRef): { readonly task: Task; readonly process: TaskProcess } {
    const task = this.task(ref);
    const process = task.process(ref.exec);
    if (process === undefined || process.state.kind === 'adding' || process.state.kind === 'deleted') {
      throw notFound(`process does not exist ${ref.exec ?? ref.task}: not found`);
    }
    return { task, process };
  }

  /** Frees the id, where it still is this very task's. */
  remove(task: Task): void {
    if (this.findTask(task.ref) === task) this.#drop(task.ref);
  }

  /** Creates under way, and those that are undone, included. */
  hasTasks(namespace: Namespace): boolean {
    return (this.#tasks.get(namespace)?.size ?? 0) > 0;
  }

  *tasks(namespace?: Namespace): Generator<Task> {
    const maps =
      namespace === undefined ? this.#tasks.values() : [this.#tasks.get(namespace) ?? new Map<TaskId, Entry>()];
    for (const map of maps) {
      for (const entry of map.values()) if (entry.kind === 'task') yield entry.task;
    }
  }

  get taskCount(): number {
    let count = 0;
    for (const _ of this.tasks()) count += 1;
    return count;
  }

  addShim(shim: Shim): void {
    this.#shims.set(`${shim.namespace}/${shim.id}`, shim);
  }

  findShim(namespace: Namespace, id: ShimId): Shim | undefined {
    return this.#shims.get(`${namespace}/${id}`);
  }

  removeShim(shim: Shim): void {
    const key = `${shim.namespace}/${shim.id}`;
    if (this.#shims.get(key) === shim) this.#shims.delete(key);
    for (const [id, holder] of this.#held) if (holder === shim) this.#held.delete(id);
  }

  /**
   * The shim was not there when the task was ended: what waits in its socket would hit the next task of the id. False where
   * it has forgotten the task since then. Times are of the monotonic clock, in milliseconds.
   */
  hold(ref: TaskRef, shim: Shim, since: number): boolean {
    const key = keyOf(ref);
    if ((this.#letGo.get(key) ?? 0) > since) return false;
    this.#held.set(key, shim);
    return true;
  }

  letGo(ref: TaskRef, at: number): void {
    const key = keyOf(ref);
    this.#held.delete(key);
    this.#letGo.delete(key);
    this.#letGo.set(key, at);
    const [oldest] = this.#letGo.keys();
    if (this.#letGo.size > maxLetGo && oldest !== undefined) this.#letGo.delete(oldest);
  }

  /** Throws UNAVAILABLE where a shim that does not answer still has an earlier task of the id. */
  assertNotHeld(ref: TaskRef): void {
    const shim = this.#held.get(keyOf(ref));
    if (shim === undefined) return;
    throw unavailable(
      `an earlier task ${ref.task} was deleted by force while its shim ${shim.id} did not answer, and that shim still runs: ` +
        `use another id, or end the other tasks of the shim, which ends it`,
    );
  }

  shims(): Shim[] {
    return [...this.#shims.values()];
  }

  #inNamespace(namespace: Namespace): Map<TaskId, Entry> {
    const known = this.#tasks.get(namespace);
    if (known !== undefined) return known;
    const tasks = new Map<TaskId, Entry>();
    this.#tasks.set(namespace, tasks);
    return tasks;
  }

  #drop(ref: TaskRef): void {
    // An empty map stays: a reservation may hold it.
    this.#tasks.get(ref.namespace)?.delete(ref.task);
  }
}
