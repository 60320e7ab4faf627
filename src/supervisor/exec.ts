import { alreadyExists, failedPrecondition, hasCode } from '../shared/errors/index.ts';
import type { ExecId, TaskRef } from '../shared/identifiers.ts';
import type { Stdio } from '../shared/messages/index.ts';
import type { Any } from '../shared/wire/any.ts';
import { ask, deadlineOf, shimOf } from './ask.ts';
import type { Context } from './context.ts';
import type { CallOptions } from './options.ts';
import { isRunning } from './process-state.ts';
import { checkExecSpec, checkStdio } from './request-checks.ts';
import { TaskProcess } from './task-process.ts';

/** Adds an exec to a running task. Its id is taken from now on; where it fails, or the caller gives up, it is free again. */
export async function addExec(
  context: Context,
  ref: TaskRef,
  exec: ExecId,
  request: { readonly stdio: Stdio; readonly spec: Any },
  call: CallOptions,
): Promise<void> {
  checkExecSpec(request.spec);
  checkStdio(request.stdio);
  const task = context.registry.task(ref);
  if (task.execs.has(exec)) throw alreadyExists(`id ${exec}: already exists`);
  const { kind } = task.init.state;
  if (!isRunning(task.init.state) && kind !== 'unknown' && kind !== 'starting') {
    throw failedPrecondition(`container ${ref.task} init process is not running: failed precondition`);
  }
  const shim = shimOf(task);
  const process = new TaskProcess({ ...ref, exec }, request.stdio, { kind: 'adding' }, context.logger);
  task.execs.set(exec, process);
  context.exits.removeExec(process.ref);
  const forget = () => {
    if (task.execs.get(exec) === process) task.execs.delete(exec);
    process.set({ kind: 'deleted' });
  };
  const whole = ask(
    shim,
    { kind: 'exec', deadline: deadlineOf(context.deadlines.call, call), ...ref, exec, ...request },
    call.signal,
  );
  try {
    await whole;
  } catch (error) {
    if (hasCode(error, 'CANCELLED')) {
      // The shim may have it by now: deleted before the id is free.
      context.background.run('abandoned exec not deleted', async () => {
        const deadline = deadlineOf(context.deadlines.call, {});
        await ask(shim, { kind: 'delete', deadline, ...process.ref })
          .catch((failure: unknown) => {
            if (!hasCode(failure, 'NOT_FOUND')) throw failure;
          })
          .finally(forget);
      });
    } else forget();
    throw error;
  }
  // The task may have ended, or its shim's thread been replaced, meanwhile.
  if (process.state.kind === 'adding') process.set({ kind: 'created', pid: 0 });
  context.events.execAdded(process);
}
