import type { Context } from './context.ts';
import { neverRan } from './request-checks.ts';
import type { Task } from './task.ts';
import type { TaskProcess } from './task-process.ts';

/** The reply to Start was handled: the event goes out, and an exit that overtook it after that. */
export function started(context: Context, task: Task, process: TaskProcess, pid: number): void {
  if (process.state.kind !== 'starting') return;
  process.set({ kind: 'running', pid });
  context.events.started(process, pid);
  context.router.settled(task, process);
}

/**
 * The one Start of a process failed. An init is there all the same, and ends with its delete at the latest; an exec never
 * ran, so whoever waits for its end is told now.
 */
export function startFailed(context: Context, task: Task, process: TaskProcess, pid: number): void {
  process.set({ kind: 'start-failed', pid });
  context.router.settled(task, process);
  // What was held of it may have ended it.
  if (process !== task.init && process.state.kind === 'start-failed') process.waiters.reject(neverRan(process.ref));
}
