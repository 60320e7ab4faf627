import type { Namespace, ProcessRef } from '../shared/identifiers.ts';
import { ask, deadlineOf } from './ask.ts';
import type { Context } from './context.ts';
import { isFreezingInDoubt } from './freezing.ts';
import type { CallOptions, ProcessView, ShimView, SlotView } from './options.ts';
import { statusOf } from './process-state.ts';
import { applySnapshot } from './snapshot.ts';
import type { Task } from './task.ts';
import type { TaskProcess } from './task-process.ts';
import type { TaskSlot } from './task-slot.ts';
import { exitOf } from './wait.ts';

/** From memory; a shim that is late, or alone knows whether the task is paused, is asked, and where it does not answer the last known state stands. */
export async function getProcess(context: Context, ref: ProcessRef, call: CallOptions): Promise<ProcessView> {
  const { task, process } = context.registry.process(ref);
  await refresh(context, task, process, call);
  return viewOf(task, process);
}

/** The inits. Takes at most one state deadline, whatever the shims do. */
export async function listTasks(
  context: Context,
  namespace: Namespace | undefined,
  call: CallOptions,
): Promise<ProcessView[]> {
  const tasks = [...context.registry.tasks(namespace)];
  const late = tasks.filter((task) => (task.shim?.overdue ?? 0) > 0 || isFreezingInDoubt(task.init));
  if (late.length > 0) await Promise.all(late.map((task) => refresh(context, task, task.init, call)));
  return tasks.map((task) => viewOf(task, task.init));
}

async function refresh(context: Context, task: Task, process: TaskProcess, call: CallOptions): Promise<void> {
  const { shim } = task;
  if (shim === undefined || process.state.kind === 'stopped') return;
  if (shim.overdue === 0 && !isFreezingInDoubt(process)) return;
  const deadline = deadlineOf(context.deadlines.state, call);
  try {
    applySnapshot(context, task, process, await ask(shim, { kind: 'state', deadline, ...process.ref }, call.signal));
  } catch {
    // The last known state it is.
  }
}

function viewOf(task: Task, process: TaskProcess): ProcessView {
  const { state, stdio, ref, pid } = process;
  return {
    namespace: ref.namespace,
    task: ref.task,
    ...(ref.exec === undefined ? {} : { exec: ref.exec }),
    pid,
    status: statusOf(state),
    stdio,
    ...(state.kind === 'stopped' ? { exit: exitOf(state.exit) } : {}),
    runtime: task.runtime,
    bundle: task.bundle,
    shim: task.shim?.id,
  };
}

/** The shims that run, as far as they have said how to reach them. */
export function shimViews(context: Context): ShimView[] {
  return context.registry.shims().flatMap((shim) => {
    const { info, state, slot, tasks } = shim;
    return info === undefined || state.kind === 'gone'
      ? []
      : [{ ...info, slot: slot.id, tasks: tasks.size, state: state.kind }];
  });
}

export function slotViews(context: Context, slots: readonly TaskSlot[]): SlotView[] {
  const shims = context.registry.shims();
  return slots.map((slot) => {
    const own = shims.filter((shim) => shim.slot === slot);
    return {
      id: slot.id,
      state: slot.state.kind,
      shims: own.length,
      tasks: own.reduce((sum, shim) => sum + shim.tasks.size, 0),
      operations: slot.operations,
      restarts: slot.losses,
      vitals: context.watchdog.slot(slot.id),
    };
  });
}
