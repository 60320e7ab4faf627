import { hasCode, notFound, TaskError } from '../shared/errors/index.ts';
import type { ProcessRef, TaskRef } from '../shared/identifiers.ts';
import type { Exit } from '../shared/messages/index.ts';
import { deadlineIn, remaining, until } from '../shared/util/deadline.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import { ask, join } from './ask.ts';
import { assertServing } from './bundle-removal.ts';
import type { Context } from './context.ts';
import type { CallOptions } from './options.ts';
import { isRunning } from './process-state.ts';
import { removeByForce } from './remove-by-force.ts';
import { applySnapshot, leftShim } from './snapshot.ts';
import type { Task } from './task.ts';
import type { TaskProcess } from './task-process.ts';
import { exitOf } from './wait.ts';

/** Longest wait for the exit of an exec that ended with its init, in milliseconds. */
const lastExitPatience = 1000;

/** Deletes a process that has ended or never ran. It goes on without its caller, and can be repeated. */
export async function deleteProcess(context: Context, ref: ProcessRef, call: CallOptions): Promise<Exit> {
  const { task, process } = context.registry.process(ref);
  process.deletion ??= wholeDelete(context, task, process).finally(() => {
    process.deletion = undefined;
  });
  return join(process.deletion, context.deadlines.call, call, `deleting process ${ref.exec ?? ref.task}`);
}

async function wholeDelete(context: Context, task: Task, process: TaskProcess): Promise<Exit> {
  await checkEnded(context, task, process);
  const exit = await deleteInShim(context, task, process);
  if (process === task.init) await finishTask(context, task, exit);
  else finishExec(context, task, process);
  return exitOf(exit);
}

/** Throws UNKNOWN, as clients expect it, where the process still runs; a shim that knows better is believed. */
async function checkEnded(context: Context, task: Task, process: TaskProcess): Promise<void> {
  if (process.state.kind !== 'starting' && !isRunning(process.state) && process.state.kind !== 'unknown') return;
  if (context.router.release(task, process)) return;
  if (task.shim !== undefined) {
    const deadline = deadlineIn(context.deadlines.state);
    const snapshot = await ask(task.shim, { kind: 'state', deadline, ...process.ref }).catch(() => undefined);
    if (snapshot?.exit !== undefined) applySnapshot(context, task, process, snapshot);
    context.router.release(task, process);
  }
  const { kind } = process.state;
  if (kind === 'starting')
    throw new TaskError('UNKNOWN', `cannot delete process ${nameOf(process)}: a start is under way: unknown`);
  if (isRunning(process.state)) {
    throw new TaskError('UNKNOWN', `cannot delete a running process: ${nameOf(process)}: kill it first: unknown`);
  }
}

async function deleteInShim(context: Context, task: Task, process: TaskProcess): Promise<Exit> {
  const known = process.state.kind === 'stopped' ? process.state.exit : undefined;
  const none = { pid: process.pid, status: 0, exitedAt: timestampNow() };
  if (task.shim === undefined) return known ?? none;
  const deadline = deadlineIn(context.deadlines.call);
  try {
    const exit = await ask(task.shim, { kind: 'delete', deadline, ...process.ref });
    // The exit that was told is the one; this may be rounded or, from another delete, made up.
    return process.state.kind === 'stopped' ? process.state.exit : exit;
  } catch (error) {
    // An earlier delete went through and its answer was lost; or the shim went meanwhile.
    const stopped = process.state.kind === 'stopped' ? process.state.exit : undefined;
    if (task.shim === undefined && stopped !== undefined) return stopped;
    if (!hasCode(error, 'NOT_FOUND') || stopped === undefined) throw error;
    if (process === task.init) await removeRemains(context, task, deadline);
    return stopped;
  }
}

async function removeRemains(context: Context, task: Task, deadline: number): Promise<void> {
  const { ref, shim } = task;
  if (shim !== undefined) await removeByForce(context, ref, { slot: shim.slot, shim }, { budget: remaining(deadline) });
}

function finishExec(context: Context, task: Task, process: TaskProcess): void {
  const { ref } = process;
  context.router.release(task, process);
  drop(context, process);
  if (ref.exec !== undefined && task.execs.get(ref.exec) === process) task.execs.delete(ref.exec);
  context.exits.removeExec(ref);
}

/** The task is gone from its shim: its last exits are told, then its delete, then its id is free. */
export async function finishTask(context: Context, task: Task, exit: Exit): Promise<void> {
  const { init, ref, shim } = task;
  for (const process of task.execs.values()) await tellLastExit(context, task, process);
  task.isLeaving = true;
  await task.removal;
  assertServing(context, `task ${ref.task}`);
  // A delete and a forced one can end together: the first tells.
  if (context.registry.findTask(ref) !== task) return;
  if (init.state.kind !== 'stopped' && (exit.pid > 0 || init.pid > 0)) {
    context.router.exit(ref, { ...exit, pid: exit.pid || init.pid }, 'state');
    context.router.release(task, init);
  }
  context.events.forget(ref);
  context.events.deleted(task, exit);
  for (const process of task.processes()) drop(context, process);
  context.registry.remove(task);
  context.router.forgotten(ref);
  forgetExits(context, ref);
  context.logger.info('task deleted', { ...ref, status: exit.status });
  task.leaveShim();
  if (shim !== undefined) leftShim(context, shim);
}

/** An exec that ran until init ended has an exit of its own, which may still be on its way. */
async function tellLastExit(context: Context, task: Task, process: TaskProcess): Promise<void> {
  if (process.state.kind === 'starting') process.set({ kind: 'start-failed', pid: process.pid });
  if (!isRunning(process.state) || context.router.release(task, process)) return;
  if (task.shim !== undefined) {
    const { promise, forget } = process.waiters.add();
    await until(promise, { deadline: deadlineIn(lastExitPatience), doing: 'waiting for the exit of an exec' }).catch(
      () => undefined,
    );
    forget();
  }
  if (!isRunning(process.state) || context.router.release(task, process)) return;
  context.router.exit(process.ref, { pid: process.pid, status: 137, exitedAt: timestampNow() }, 'made-up');
  context.router.release(task, process);
}

function drop(context: Context, process: TaskProcess): void {
  context.router.remove(process);
  process.set({ kind: 'deleted' });
  process.waiters.reject(notFound(`process does not exist ${nameOf(process)}: not found`));
}

/** A full disk keeps exits that nobody asks for any more; the next create of the id removes them. */
function forgetExits(context: Context, ref: TaskRef): void {
  try {
    context.exits.removeTask(ref);
  } catch (error) {
    context.logger.error('exits not removed', { ...ref, error: TaskError.from(error).message });
  }
}

function nameOf({ ref }: TaskProcess): string {
  return ref.exec ?? ref.task;
}
