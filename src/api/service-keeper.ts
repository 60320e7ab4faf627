import type { TaskRef } from '../shared/identifiers.ts';
import type { Exit } from '../shared/messages/process.ts';

/** What the API needs of whoever keeps services running. */
export interface ServiceKeeper {
  /** A client deletes this task itself: what it does next is not interfered with. */
  hold(task: TaskRef): void;
  /**
   * Ends a task by `signal`, after `patience` milliseconds by SIGKILL, and keeps it ended. Undefined for a service without a
   * task. Throws NOT_FOUND.
   */
  stop(task: TaskRef, how: { readonly signal: number; readonly patience: number }): Promise<Exit | undefined>;
}
