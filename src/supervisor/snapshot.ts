import { notFound } from '../shared/errors/index.ts';
import type { LostExit, ProcessSnapshot } from '../shared/messages/index.ts';
import { isForOneTask } from '../shared/placement-mode.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import type { Context } from './context.ts';
import { findExec } from './find-exec.ts';
import { started, startFailed } from './started.ts';
import type { Task } from './task.ts';
import { noStdio, type TaskProcess } from './task-process.ts';

/** Takes over what a shim says of a process. What ended stays ended. */
export function applySnapshot(context: Context, task: Task, process: TaskProcess, snapshot: ProcessSnapshot): void {
  const { kind } = process.state;
  if (kind === 'stopped' || kind === 'deleted' || kind === 'adding') return;
  const { status, pid, exit } = snapshot;
  if (exit !== undefined) {
    // A start that was cut off did happen, where there is an exit of it.
    if (kind === 'starting') started(context, task, process, pid || exit.pid);
    else if (kind === 'unknown') process.set({ kind: 'running', pid: pid || exit.pid });
    context.router.exit(process.ref, exit, 'state');
    return;
  }
  switch (status) {
    case 'running':
    case 'pausing':
    case 'paused':
      if (kind === 'starting') started(context, task, process, pid);
      process.set({ kind: status, pid });
      return;
    case 'created':
      if (kind !== 'start-failed') process.set({ kind: 'created', pid });
      context.router.settled(task, process);
      return;
    case 'stopped':
      // An exec that never ran has no exit.
      if (kind === 'starting' || kind === 'unknown') startFailed(context, task, process, pid);
      else context.router.settled(task, process);
      return;
    case 'unknown':
      return;
  }
}

/** The task's shim is gone and its remains are removed: every process of it has ended. */
export function taskGone(context: Context, task: Task, exits: readonly LostExit[]): void {
  const at = timestampNow();
  // Of execs that only the bundle told of until now.
  for (const { exec } of exits) if (exec !== undefined) findExec(context, task, exec, noStdio);
  for (const process of [...task.execs.values(), task.init]) {
    const { ref } = process;
    if (process.state.kind === 'starting') process.set({ kind: 'start-failed', pid: process.pid });
    const told = exits.find((exit) => exit.exec === ref.exec);
    if (told !== undefined) context.router.exit(ref, told, told.source);
    else context.router.exit(ref, { pid: process.pid, status: 137, exitedAt: at }, 'made-up');
    // There is nothing left to wait for.
    context.router.release(task, process);
  }
  leaveShim(context, task);
}

/** The task's create was cut off before anybody was told of it, and what it made is removed: its id is free. */
export function neverMade(context: Context, task: Task): void {
  context.router.remove(task.init);
  context.router.forgotten(task.ref);
  task.init.set({ kind: 'deleted' });
  task.init.waiters.reject(notFound(`task ${task.ref.task} not found`));
  context.registry.remove(task);
  leaveShim(context, task);
}

function leaveShim(context: Context, task: Task): void {
  const { shim } = task;
  task.leaveShim();
  if (shim !== undefined) leftShim(context, shim);
}

/** A task left the shim: one of its own goes with it, a shared one is ended in time, a sandbox's stays. */
export function leftShim(context: Context, shim: NonNullable<Task['shim']>): void {
  if (shim.tasks.size > 0) return;
  if (isForOneTask(shim.mode)) {
    if (shim.state.kind !== 'gone') {
      shim.set({ kind: 'stopping' });
      shim.set({ kind: 'gone', reason: 'its task was deleted' });
    }
    context.registry.removeShim(shim);
    return;
  }
  // It outlives its tasks, and its end is told when nothing of it is left.
  if (shim.mode === 'sandbox') return;
  if (shim.state.kind === 'gone') context.registry.removeShim(shim);
  context.placement.shared.settle(shim);
}
