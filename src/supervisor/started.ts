import type { Context } from './context.ts';
import type { Task } from './task.ts';
import type { TaskProcess } from './task-process.ts';

/** The reply to Start was handled: the event goes out, and an exit that overtook it after that. */
export function started(context: Context, task: Task, process: TaskProcess, pid: number): void {
  if (process.state.kind !== 'starting') return;
  process.set({ kind: 'running', pid });
  context.events.started(process, pid);
  context.router.settled(task, process);
}
