import type { ProcessRef, TaskRef } from '../shared/identifiers.ts';
import type { Exit, ExitSource } from '../shared/messages/process.ts';

/**
 * Whom an exit has not been told to yet: `anybody`, or the `client` that it matters to, where others have had it. Absent
 * where all is told.
 */
export type Owed = 'anybody' | 'client';

/** How a process ended, and who said so. */
export interface StoredExit extends Exit {
  readonly source: ExitSource;
  readonly owed?: Owed | undefined;
  /** Cursor of the latest event when it was stored: its own event comes next. Absent where it has none. */
  readonly after?: number | undefined;
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
  /** Notes whom it is still owed to, undefined for nobody. Does nothing where there is no exit. Throws as `put` does. */
  setOwed(process: ProcessRef, owed: Owed | undefined): void;
  /** Forgets the exits of a task's init and of all its execs. */
  removeTask(task: TaskRef): void;
  removeExec(process: ProcessRef): void;
  list(): Iterable<{ readonly process: ProcessRef; readonly exit: StoredExit }>;
}
