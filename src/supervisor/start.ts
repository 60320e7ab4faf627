import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '../shared/errors/index.ts';
import type { ProcessRef } from '../shared/identifiers.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import { ask, deadlineOf, join, shimOf } from './ask.ts';
import type { Context } from './context.ts';
import type { CallOptions } from './options.ts';
import { checkStartable } from './request-checks.ts';
import { applySnapshot } from './snapshot.ts';
import { started, startFailed } from './started.ts';
import type { Task } from './task.ts';
import type { TaskProcess } from './task-process.ts';

/** Starts a process. A start goes on when its caller gives up: nothing is half started. */
export async function startProcess(context: Context, ref: ProcessRef, call: CallOptions): Promise<{ pid: number }> {
  const { task, process } = context.registry.process(ref);
  const name = ref.exec ?? ref.task;
  checkStartable(process);
  const shim = shimOf(task);
  await shim.usable({
    deadline: deadlineOf(context.deadlines.call, call),
    doing: `starting process ${name}`,
    signal: call.signal,
  });
  // Others may have been faster while the shim was adopted.
  checkStartable(process);
  const whole = startInShim(context, task, process);
  return join(whole, context.deadlines.call, call, `starting process ${name}`);
}

async function startInShim(context: Context, task: Task, process: TaskProcess): Promise<{ pid: number }> {
  const shim = shimOf(task);
  const known = process.pid;
  process.set({ kind: 'starting', pid: known });
  try {
    const { pid } = await ask(shim, { kind: 'start', deadline: deadlineIn(context.deadlines.call), ...process.ref });
    started(context, task, process, pid);
    return { pid };
  } catch (error) {
    if (process.state.kind !== 'starting') throw error;
    if (!hasCode(error, 'UNAVAILABLE', 'DEADLINE_EXCEEDED')) {
      startFailed(context, task, process, known);
    } else {
      // Whether it runs is not known: adoption says so, or the shim when asked.
      context.background.run('process not reconciled', () => reconcile(context, task, process));
    }
    throw error;
  }
}

/** Asks the shim, less and less often, until what became of a start is known. */
async function reconcile(context: Context, task: Task, process: TaskProcess): Promise<void> {
  const { signal } = context.background;
  for (
    let pause = 100;
    process.state.kind === 'starting' && task.shim !== undefined;
    pause = Math.min(pause * 2, 30_000)
  ) {
    await delay(pause, undefined, { signal });
    if (process.state.kind !== 'starting' || task.shim === undefined) return;
    try {
      const snapshot = await ask(task.shim, {
        kind: 'state',
        deadline: deadlineIn(context.deadlines.state),
        ...process.ref,
      });
      applySnapshot(context, task, process, snapshot);
    } catch {
      // The next try, or an adoption, says more.
    }
  }
}
