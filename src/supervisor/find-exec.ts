import type { ExecId } from '../shared/identifiers.ts';
import type { Stdio } from '../shared/messages/index.ts';
import type { Context } from './context.ts';
import type { Task } from './task.ts';
import { TaskProcess } from './task-process.ts';

/** An exec of the task. One that the daemon has not heard of since its start is as the store knows it. */
export function findExec(context: Context, task: Task, exec: ExecId, stdio: Stdio): TaskProcess {
  const known = task.execs.get(exec);
  if (known !== undefined) return known;
  const ref = { ...task.ref, exec };
  const exit = context.exits.get(ref);
  const state = exit === undefined ? ({ kind: 'unknown', pid: 0 } as const) : ({ kind: 'stopped', exit } as const);
  const process = new TaskProcess(ref, stdio, state, context.logger);
  task.execs.set(exec, process);
  if (exit?.owed) context.events.owed(process, exit, exit.owed);
  return process;
}
