import { setTimeout as delay } from 'node:timers/promises';
import { TaskError } from '../../shared/errors/index.ts';
import { deadlineIn, until } from '../../shared/util/deadline.ts';
import { removeBundleOf } from '../bundle-removal.ts';
import type { Context } from '../context.ts';
import { resumeTask } from '../freezing.ts';
import { killProcess } from '../kill.ts';
import { isRunning } from '../process-state.ts';
import { removeByForce } from '../remove-by-force.ts';
import { taskGone } from '../snapshot.ts';
import type { Task } from '../task.ts';
import type { TaskProcess } from '../task-process.ts';
import type { Sandbox } from './sandbox.ts';

const sigterm = 15;
const sigkill = 9;

/** Creates that were under way when the sandbox's end was asked for come to an end of their own: how long that is awaited. */
const createPatience = 5_000;

/**
 * Ends what runs in a sandbox: SIGTERM, and SIGKILL after `grace` milliseconds, at once where that is 0. When it resolves
 * every exit is told. The tasks stay, as stopped ones. A task that does not end is taken from its shim by force.
 */
export async function endWorkloads(context: Context, sandbox: Sandbox, grace: number): Promise<void> {
  const { shim } = sandbox;
  if (shim === undefined) return;
  await Promise.all([...shim.tasks].map((task) => endTask(context, task, grace)));
  const limit = deadlineIn(createPatience);
  while (shim.creating.size > 0 && Date.now() < limit) await delay(20);
  await Promise.all([...shim.tasks].map((task) => endTask(context, task, 0)));
}

/** Takes every task out of the sandbox's shim, with its bundle; their exits stay, until they are deleted. */
export async function removeWorkloads(context: Context, sandbox: Sandbox): Promise<void> {
  const { shim } = sandbox;
  if (shim !== undefined) await Promise.all([...shim.tasks].map((task) => removeFromShim(context, task)));
}

async function endTask(context: Context, task: Task, grace: number): Promise<void> {
  if (hasEnded(task)) return;
  if (grace > 0) {
    await signal(context, task, sigterm);
    if (await endsBy(task, deadlineIn(grace))) return;
  }
  for (const process of task.processes()) process.killed = true;
  // What is frozen cannot even die.
  if (task.init.state.kind === 'paused') await quietly(context, task, () => resumeTask(context, task.ref, {}));
  const limit = deadlineIn(context.deadlines.cleanup);
  await signal(context, task, sigkill);
  if (await endsBy(task, limit)) return;
  context.logger.warn('workload outlives its sandbox: removed by force', { ...task.ref });
  await removeFromShim(context, task);
}

const isOver = ({ state }: TaskProcess): boolean => state.kind === 'stopped' || state.kind === 'deleted';

/** What may still end: its init, and the execs that run. */
const unended = (task: Task): TaskProcess[] => [
  ...(isOver(task.init) ? [] : [task.init]),
  ...[...task.execs.values()].filter(({ state }) => isRunning(state) || state.kind === 'starting'),
];

const hasEnded = (task: Task): boolean => unended(task).length === 0;

function signal(context: Context, task: Task, number: number): Promise<void> {
  const deadline = deadlineIn(context.deadlines.cleanup);
  return quietly(context, task, () => killProcess(context, task.ref, { signal: number, all: true }, { deadline }));
}

/** That it has ended meanwhile, or that its shim does not answer, shows in what comes next. */
async function quietly(context: Context, task: Task, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    context.logger.debug('workload not signalled', { ...task.ref, error: TaskError.from(error).message });
  }
}

async function endsBy(task: Task, deadline: number): Promise<boolean> {
  // Its execs end with init at the latest.
  for (let [process] = unended(task); process !== undefined; [process] = unended(task)) {
    const { promise, forget } = process.waiters.add();
    try {
      await until(promise, { deadline, doing: `waiting for the end of task ${task.ref.task}` });
    } catch {
      // Rejected where it was deleted meanwhile, or never ran.
      if (!isOver(process) && unended(task).includes(process)) return false;
    } finally {
      forget();
    }
  }
  return true;
}

/** Never throws: what cannot be removed is logged, and keeps the sandbox from being removed. */
async function removeFromShim(context: Context, task: Task): Promise<void> {
  const { shim } = task;
  if (shim === undefined) return;
  const { deadlines, logger } = context;
  try {
    const budget = deadlines.shutdown + 3 * deadlines.cleanup;
    const exits = await removeByForce(context, task.ref, { slot: shim.slot, shim }, { budget, keepBundle: true });
    // It may have been deleted, or lost with its shim, meanwhile.
    if (task.shim !== shim) return;
    taskGone(context, task, exits ?? []);
    removeBundleOf(context, task, shim.slot);
  } catch (error) {
    logger.error('workload not removed', { ...task.ref, error: TaskError.from(error).message });
  }
}
