import { alreadyExists, notFound } from '../shared/errors/index.ts';
import type { Namespace, ProcessRef, ShimId, TaskId, TaskRef } from '../shared/identifiers.ts';
import type { Shim } from './shim.ts';
import type { Task } from './task.ts';
import type { TaskProcess } from './task-process.ts';

/** An id taken by a create under way. Nobody sees the task before `commit`; one of the two ends it. */
export interface Reservation {
  commit(task: Task): void;
  /** Frees the id. Nothing after `commit`. */
  release(): void;
}

type Entry = { readonly kind: 'reserved' } | { readonly kind: 'task'; readonly task: Task };

/** The tasks and shims of the host, by namespace and id. */
export class Registry {
  readonly #tasks = new Map<Namespace, Map<TaskId, Entry>>();
  readonly #shims = new Map<string, Shim>();

  /** Throws ALREADY_EXISTS where the id has a task, ended ones included, or a create under way. */
  reserve(ref: TaskRef): Reservation {
    const tasks = this.#inNamespace(ref.namespace);
    if (tasks.has(ref.task)) throw alreadyExists(`task ${ref.task}: already exists`);
    const entry: Entry = { kind: 'reserved' };
    tasks.set(ref.task, entry);
    return {
      commit: (task) => {
        if (tasks.get(ref.task) === entry) tasks.set(ref.task, { kind: 'task', task });
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

  *tasks(namespace?: Namespace): Generator<Task> {
    const maps =
      namespace === undefined ? this.#tasks.values() : [this.#tasks.get(namespace) ?? new Map<TaskId, Entry>()];
    for (const map of maps) {
      for (const entry of map.values()) if (entry.kind === 'task') yield entry.task;
    }
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
