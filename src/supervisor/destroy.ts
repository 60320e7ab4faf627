import type { TaskRef } from '../shared/identifiers.ts';
import type { Exit } from '../shared/messages/index.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import { join } from './ask.ts';
import type { Context } from './context.ts';
import { finishTask } from './delete.ts';
import { findExec } from './find-exec.ts';
import type { CallOptions } from './options.ts';
import { removeByForce } from './remove-by-force.ts';
import type { Task } from './task.ts';
import { noStdio } from './task-process.ts';
import { exitOf } from './wait.ts';

/** Ends a task whatever its state, and whether or not its shim answers. It goes on without its caller. */
export async function destroyTask(context: Context, ref: TaskRef, call: CallOptions): Promise<Exit> {
  const task = context.registry.task(ref);
  task.destruction ??= wholeDestroy(context, task).finally(() => {
    task.destruction = undefined;
  });
  return join(task.destruction, budgetOf(context), call, `destroying task ${ref.task}`);
}

const budgetOf = ({ deadlines }: Context): number => deadlines.load + deadlines.shutdown + 3 * deadlines.cleanup;

async function wholeDestroy(context: Context, task: Task): Promise<Exit> {
  const { ref, init, shim } = task;
  for (const process of task.processes()) process.killed = true;
  if (shim !== undefined) {
    // Undefined where its shim was lost and cleaned up meanwhile, or an earlier try came this far.
    const exits = await removeByForce(context, ref, { slot: shim.slot, shim }, { budget: budgetOf(context) });
    for (const exit of exits ?? []) {
      const process = exit.exec === undefined ? init : findExec(context, task, exit.exec, noStdio);
      if (process.state.kind === 'starting') process.set({ kind: 'start-failed', pid: process.pid });
      context.router.exit(process.ref, exit, exit.source);
      if (process !== init) context.router.release(task, process);
    }
    context.router.release(task, init);
  }
  const exit =
    init.state.kind === 'stopped' ? init.state.exit : { pid: init.pid, status: 137, exitedAt: timestampNow() };
  await finishTask(context, task, exit);
  return exitOf(exit);
}
