import { writeLogReport } from '../shared/log/log-report.ts';
import type { LostExit, Report } from '../shared/messages/index.ts';
import { unreachable } from '../shared/util/unreachable.ts';
import { adoptAll } from './adoption.ts';
import { removeBundleOf } from './bundle-removal.ts';
import type { Context } from './context.ts';
import { takeSandboxExit } from './sandboxes/exit.ts';
import { sandboxGone } from './sandboxes/settle.ts';
import type { Shim } from './shim.ts';
import { leftShim, neverMade, taskGone } from './snapshot.ts';
import type { Task } from './task.ts';
import type { TaskSlot } from './task-slot.ts';

/** What a slot says unasked. */
export function takeReport(context: Context, slot: Pick<TaskSlot, 'id'>, report: Report): void {
  switch (report.kind) {
    case 'exit': {
      const { namespace, task, exec } = report;
      return context.router.exit({ namespace, task, ...(exec === undefined ? {} : { exec }) }, report, report.source);
    }
    case 'oom-ruled-out': {
      const { namespace, task, exec, pid } = report;
      return context.router.oomRuledOut({ namespace, task, ...(exec === undefined ? {} : { exec }) }, pid);
    }
    case 'shim-lost': {
      const shim = context.registry.findShim(report.namespace, report.shim);
      if (shim === undefined) return;
      context.placement.shared.forget(shim);
      shim.set({ kind: 'gone', reason: report.reason });
      leftShim(context, shim);
      return;
    }
    case 'task-lost': {
      const task = context.registry.findTask(report);
      // By now its id may be another one's, whose shim has the same id where it is its own.
      if (task?.shim?.id === report.shim && task.shim.state.kind === 'gone') taskLost(context, task, report.exits);
      return;
    }
    case 'shim-over': {
      const shim = context.registry.findShim(report.namespace, report.shim);
      if (shim?.state.kind === 'gone') shimOver(context, shim);
      return;
    }
    case 'shim-late': {
      const shim = context.registry.findShim(report.namespace, report.shim);
      if (shim === undefined) return;
      // Its state is asked for from now on, and nothing is placed in it, until it answers.
      shim.overdue = report.late ? Math.max(1, shim.overdue) : 0;
      shim.late = report.late;
      return;
    }
    case 'task-forgotten':
      return context.registry.letGo(report, report.at);
    case 'sandbox-exit':
      return takeSandboxExit(context, { namespace: report.namespace, sandbox: report.sandbox }, report);
    case 'vitals':
      return context.watchdog.note(slot.id, report);
    case 'log':
      return writeLogReport(context.logger, report);
    default:
      return unreachable(report);
  }
}

/** What is left of a task of a lost shim is ended. */
function taskLost(context: Context, task: Task, exits: readonly LostExit[]): void {
  const { shim } = task;
  // Its create was cut off, and nobody was told of it.
  if (task.init.state.kind === 'unknown' && exits.length === 0) return neverMade(context, task);
  taskGone(context, task, exits);
  if (shim !== undefined) removeBundleOf(context, task, shim.slot);
}

/** A lost shim is cleaned up. Tasks that its slot knew nothing of have ended with it. */
function shimOver(context: Context, shim: Shim): void {
  for (const task of shim.tasks) {
    taskGone(context, task, []);
    removeBundleOf(context, task, shim.slot);
  }
  if (shim.mode === 'sandbox') sandboxGone(context, shim);
  else context.registry.removeShim(shim);
}

/** The slot's shims live on, but nobody is connected to them: calls wait for the next thread. */
export function threadLost(context: Context, slot: TaskSlot): void {
  context.watchdog.forget(slot.id);
  for (const shim of context.registry.shims()) {
    // One that is being started is its starter's to undo. One that was lost may have tasks that are not cleaned up yet.
    if (shim.slot === slot && shim.state.kind !== 'starting') shim.set({ kind: 'adopting' });
  }
}

export function threadReplaced(context: Context, slot: TaskSlot): void {
  const shims = context.registry.shims().filter((shim) => shim.slot === slot && shim.state.kind === 'adopting');
  context.background.run('shims not adopted', () => adoptAll(context, shims));
}
