import { writeLogReport } from '../shared/log/log-report.ts';
import type { Report } from '../shared/messages/index.ts';
import { unreachable } from '../shared/util/unreachable.ts';
import { adoptAll } from './adoption.ts';
import { removeBundleOf } from './bundle-removal.ts';
import type { Context } from './context.ts';
import { takeSandboxExit } from './sandboxes/exit.ts';
import { sandboxGone } from './sandboxes/settle.ts';
import { leftShim, taskGone } from './snapshot.ts';
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
      // By now its id may be another one's.
      const shim = task?.shim;
      if (task === undefined || shim?.id !== report.shim) return;
      taskGone(context, task, report.exits);
      removeBundleOf(context, task, shim.slot);
      return;
    }
    case 'sandbox-lost': {
      const shim = context.registry.findShim(report.namespace, report.shim);
      if (shim?.mode === 'sandbox' && shim.state.kind === 'gone') sandboxGone(context, shim);
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
