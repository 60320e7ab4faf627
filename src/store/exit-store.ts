import type { ProcessRef, TaskRef } from '../shared/identifiers.ts';
import type { Exit, ExitSource } from '../shared/messages/process.ts';

/** How a process ended, and who said so. */
export interface StoredExit extends Exit {
  readonly source: ExitSource;
  /** The client that it matters to was away, and has not been told yet: see `settle`. */
  readonly owed?: boolean;
}

/**
 * How processes ended, by (namespace, task, exec or init). Synchronous: an exit outlives the daemon's process from the
 * moment `put` returns, so that it can be told to others after it was stored.
 */
export interface ExitStore {
  /**
   * `stored`: it was stored. `kept`: one is there already and stays; only a made-up one gives way, to one that was seen.
   * Throws RESOURCE_EXHAUSTED where the file system is full.
   */
  put(process: ProcessRef, exit: StoredExit): 'stored' | 'kept';
  get(process: ProcessRef): StoredExit | undefined;
  /** It was told: the exit is not owed any more. Does nothing where there is none. Throws as `put` does. */
  settle(process: ProcessRef): void;
  /** Forgets the exits of a task's init and of all its execs. */
  removeTask(task: TaskRef): void;
  removeExec(process: ProcessRef): void;
  list(): Iterable<{ readonly process: ProcessRef; readonly exit: StoredExit }>;
}
