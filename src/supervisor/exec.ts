import { setTimeout as delay } from 'node:timers/promises';
import { alreadyExists, failedPrecondition, hasCode } from '../shared/errors/index.ts';
import type { ExecId, TaskRef } from '../shared/identifiers.ts';
import type { Stdio } from '../shared/messages/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import type { Any } from '../shared/wire/any.ts';
import { ask, assertAwaited, deadlineOf, shimOf } from './ask.ts';
import type { Context } from './context.ts';
import type { CallOptions } from './options.ts';
import { isRunning } from './process-state.ts';
import { checkExecSpec, checkStdio } from './request-checks.ts';
import type { Task } from './task.ts';
import { TaskProcess } from './task-process.ts';

/** How long an exec that went wrong is undone, once a call has had its time, before its id is freed anyway, in milliseconds. */
const undoBudget = 30_000;

/**
 * Adds an exec to a running task. Its id is taken from now on; where it fails, or the caller
 * gives up, it is free again when that is undone, and who wants it meanwhile waits for it.
 */
export async function addExec(
  context: Context,
  ref: TaskRef,
  exec: ExecId,
  request: { readonly stdio: Stdio; readonly spec: Any },
  call: CallOptions,
): Promise<void> {
  checkExecSpec(request.spec);
  checkStdio(request.stdio);
  const deadline = deadlineOf(context.deadlines.call, call);
  const task = context.registry.task(ref);
  for (let undone = task.execs.get(exec)?.undone; undone !== undefined; undone = task.execs.get(exec)?.undone) {
    await until(undone, { deadline, signal: call.signal, doing: `waiting until an earlier exec ${exec} is undone` });
  }
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
  try {
    await ask(shim, { kind: 'exec', deadline, ...ref, exec, ...request }, call.signal);
    assertAwaited(`adding exec ${exec} to task ${ref.task}`, call);
  } catch (error) {
    if (!hasCode(error, 'CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE')) forget();
    else {
      const undone = undo(context, task, process).finally(forget);
      process.undone = undone.catch(() => undefined);
      context.background.run('abandoned exec not deleted', () => undone);
    }
    throw error;
  }
  // The task may have ended, or its shim's thread been replaced, meanwhile.
  if (process.state.kind === 'adding') process.set({ kind: 'created', pid: 0 });
  if (process.state.kind !== 'deleted') context.events.execAdded(process);
}

/** The shim may have it by now, or come to have it: it is deleted there, by the next thread where one is lost. */
async function undo({ background, deadlines }: Context, task: Task, { ref }: TaskProcess): Promise<void> {
  const limit = deadlineIn(deadlines.call + undoBudget);
  for (let pause = 20; task.shim !== undefined; pause = Math.min(pause * 2, 1000)) {
    try {
      await ask(task.shim, { kind: 'delete', deadline: deadlineIn(deadlines.cleanup), ...ref });
      return;
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return;
      if (Date.now() >= limit || background.signal.aborted) throw error;
    }
    await delay(pause, undefined, { signal: background.signal });
  }
}
