import { hasCode } from '../shared/errors/index.ts';
import type { TaskRef } from '../shared/identifiers.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import { ask, deadlineOf, shimOf } from './ask.ts';
import type { Context } from './context.ts';
import type { CallOptions } from './options.ts';
import { isRunning } from './process-state.ts';
import { applySnapshot } from './snapshot.ts';
import type { TaskProcess } from './task-process.ts';

/** After these nobody knows whether it will happen yet. */
const openEnds = ['DEADLINE_EXCEEDED', 'CANCELLED', 'UNAVAILABLE'] as const;

export async function pauseTask(context: Context, ref: TaskRef, call: CallOptions): Promise<void> {
  const task = context.registry.task(ref);
  const { init } = task;
  const shim = shimOf(task);
  const { state } = init;
  if (state.kind === 'running') init.set({ kind: 'pausing', pid: state.pid });
  const operation = { kind: 'pause', deadline: deadlineOf(context.deadlines.call, call), ...ref } as const;
  try {
    await whileFreezing(init, () => ask(shim, operation, call.signal));
  } catch (error) {
    if (init.state.kind === 'pausing' && !hasCode(error, ...openEnds)) {
      init.set({ kind: 'running', pid: init.state.pid });
    }
    throw error;
  }
  nowPaused(context, init);
}

export async function resumeTask(context: Context, ref: TaskRef, call: CallOptions): Promise<void> {
  const task = context.registry.task(ref);
  const { init } = task;
  const operation = { kind: 'resume', deadline: deadlineOf(context.deadlines.call, call), ...ref } as const;
  try {
    await whileFreezing(init, () => ask(shimOf(task), operation, call.signal));
  } catch (error) {
    if (init.state.kind === 'paused' && hasCode(error, ...openEnds)) {
      init.set({ kind: 'pausing', pid: init.state.pid });
    }
    throw error;
  }
  nowResumed(context, init);
}

/** True where memory does not know whether a task is paused: its shim has to be asked. */
export function isFreezingInDoubt(init: TaskProcess): boolean {
  return init.state.kind === 'pausing' && init.freezing === 0;
}

/**
 * A shim says that a task was paused or resumed. Where that is news, and no call of ours will tell it, the shim is asked what is
 * true now: the event may be late, or of an earlier task of the id.
 */
export function frozenOrThawed(context: Context, ref: TaskRef, news: 'paused' | 'running'): void {
  const task = context.registry.findTask(ref);
  const shim = task?.shim;
  if (task === undefined || shim === undefined || !isNews(task.init, news)) return;
  const { init } = task;
  context.background.run('paused state not asked for', async () => {
    const deadline = deadlineIn(context.deadlines.state);
    const snapshot = await ask(shim, { kind: 'state', deadline, ...ref }, context.background.signal);
    if (!isNews(init, news)) return;
    if (snapshot.status !== news) applySnapshot(context, task, init, snapshot);
    else if (news === 'paused') nowPaused(context, init);
    else nowResumed(context, init);
  });
}

/** Whoever asked for the state may know it already, and nobody have been told. */
function isNews({ state, freezing, frozenTold }: TaskProcess, news: 'paused' | 'running'): boolean {
  return isRunning(state) && freezing === 0 && (state.kind !== news || frozenTold !== news);
}

function nowPaused(context: Context, init: TaskProcess): void {
  const { state, ref } = init;
  if (state.kind === 'pausing' || state.kind === 'running') init.set({ kind: 'paused', pid: state.pid });
  init.frozenTold = 'paused';
  context.events.paused(ref);
}

function nowResumed(context: Context, init: TaskProcess): void {
  const { state, ref } = init;
  if (state.kind === 'pausing' || state.kind === 'paused') init.set({ kind: 'running', pid: state.pid });
  init.frozenTold = 'running';
  context.events.resumed(ref);
}

async function whileFreezing<T>(init: TaskProcess, call: () => Promise<T>): Promise<T> {
  init.freezing += 1;
  try {
    return await call();
  } finally {
    init.freezing -= 1;
  }
}
