import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, notFound, TaskError } from '../shared/errors/index.ts';
import type { AdoptedTask, AdoptShimReply } from '../shared/messages/index.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import { insist } from '../shared/util/insist.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import { removeBundleOf } from './bundle-removal.ts';
import type { Context } from './context.ts';
import { findExec } from './find-exec.ts';
import { isRunning } from './process-state.ts';
import { holdId, removeByForce } from './remove-by-force.ts';
import { adoptSandbox } from './sandboxes/adopt.ts';
import { sandboxGone } from './sandboxes/settle.ts';
import type { Shim } from './shim.ts';
import { applySnapshot, leftShim, neverMade, taskGone } from './snapshot.ts';
import type { Task } from './task.ts';
import type { TaskSlot } from './task-slot.ts';

/** Adoptions under way in one slot at once: each costs the shim and the disk a little work. */
const perSlot = 32;

/** Longest pause between two tries of a silent shim, in milliseconds: so late is a shim noticed that came to itself. */
const longestPause = 10_000;

/** Has the slot of each shim take it over, with its tasks: after a daemon's start and after a lost thread alike. */
export async function adoptAll(context: Context, shims: readonly Shim[]): Promise<void> {
  const bySlot = new Map<TaskSlot, Shim[]>();
  for (const shim of shims) bySlot.set(shim.slot, [...(bySlot.get(shim.slot) ?? []), shim]);
  await Promise.all(
    [...bySlot.values()].map(async (queue) => {
      const next = async (): Promise<void> => {
        for (let shim = queue.shift(); shim !== undefined; shim = queue.shift()) await adopt(context, shim);
      };
      await Promise.all(Array.from({ length: Math.min(perSlot, queue.length) }, next));
    }),
  );
}

/** Never throws: a shim that cannot be adopted now is tried again in the background, and harms no other. */
export async function adopt(context: Context, shim: Shim): Promise<void> {
  if (await tryAdopt(context, shim)) return;
  context.background.run('shim not adopted', async () => {
    const { signal } = context.background;
    for (let pause = 1000; ; pause = Math.min(pause * 2, longestPause)) {
      await delay(pause, undefined, { signal });
      // A lost thread makes it `adopting`, and has its own try coming.
      const { kind } = shim.state;
      if ((kind !== 'silent' && kind !== 'live') || (await tryAdopt(context, shim))) return;
    }
  });
}

/** False where the shim was silent, or was so about one of its tasks. */
async function tryAdopt(context: Context, shim: Shim): Promise<boolean> {
  const { deadlines, logger } = context;
  const { namespace, id, mode, bundle, slot } = shim;
  const creating = [...shim.creating].map((task) => ({ namespace, task }));
  const known = [...shim.tasks].map((task) => task.ref);
  // What is being removed by force would be cleaned up twice, and the second time as the next task of its id.
  if (shim.removing.size > 0 && shim.state.kind !== 'adopting') return false;
  // The others of a shim that is in use are not disturbed.
  const tasks =
    shim.state.kind === 'live' ? known.filter(({ task }) => shim.silent.has(task)) : [...known, ...creating];
  if (shim.state.kind === 'live' && tasks.length === 0) return adoptSandbox(context, shim);
  // Beside the load itself, the worker cleans up what is left of each task of a dead shim.
  const deadline = deadlineIn(deadlines.load + deadlines.cleanup * (1 + tasks.length));
  try {
    const reply = await slot.run({ kind: 'adopt-shim', deadline, namespace, shim: id, mode, bundle, tasks });
    const answered = applyReply(context, shim, reply);
    return (await adoptSandbox(context, shim)) && answered;
  } catch (error) {
    const reason = TaskError.from(error).message;
    // A lost thread: the next one adopts it again.
    if (shim.state.kind === 'adopting' && slot.state.kind !== 'ready' && hasCode(error, 'UNAVAILABLE')) return true;
    logger.warn('shim not adopted', { namespace, shim: id, slot: slot.id, error: reason });
    if (shim.state.kind !== 'gone') shim.set({ kind: 'silent', reason });
    return false;
  }
}

function applyReply(context: Context, shim: Shim, reply: AdoptShimReply): boolean {
  const known = [...shim.tasks];
  const silent = reply.tasks.find((task) => task.kind === 'silent');
  for (const { task, kind } of reply.tasks) {
    if (kind === 'silent') shim.silent.add(task);
    else shim.silent.delete(task);
  }
  const { namespace } = shim;
  for (const task of reply.forgetting) holdId(context, { namespace, task }, shim, reply.at);
  // The tasks first: whoever waits for the shim finds them as they are.
  for (const adopted of reply.tasks) {
    const task = known.find((candidate) => candidate.ref.task === adopted.task);
    if (task !== undefined) applyTask(context, task, adopted, shim.slot);
    else if (adopted.kind === 'live' && !isTaken(context, adopted)) removeUnknown(context, shim, adopted);
  }
  if (silent?.kind === 'silent' && reply.shim === undefined) {
    shim.set({ kind: 'silent', reason: silent.reason });
    return false;
  }
  if (reply.shim === undefined) {
    shim.set({ kind: 'gone', reason: 'nothing answers at its address' });
    context.placement.shared.forget(shim);
    leftShim(context, shim);
    // What was answered to live in it is told to be over by a report.
    if (shim.tasks.size > 0) return true;
    if (shim.mode === 'sandbox') sandboxGone(context, shim);
    else context.registry.removeShim(shim);
    return true;
  }
  // It was lost meanwhile, as a report that overtook this has told.
  if (shim.state.kind === 'gone') return true;
  shim.overdue = 0;
  shim.late = false;
  shim.set({ kind: 'live', info: reply.shim });
  // One task of a shared shim may be silent alone, and one that is stopped may have taken the connection.
  if (silent !== undefined) shim.overdue += 1;
  if (shim.mode === 'shared') context.placement.shared.settle(shim);
  return silent === undefined;
}

function applyTask(context: Context, task: Task, adopted: AdoptedTask, slot: TaskSlot): void {
  if (adopted.kind === 'gone') {
    // Without a pid its create never got as far as an answer: a ghost of it would keep the id.
    const wasMade = task.init.state.kind !== 'unknown' || adopted.exits.length > 0;
    if (!wasMade) return neverMade(context, task);
    taskGone(context, task, adopted.exits);
    if (adopted.exits.length > 0) removeBundleOf(context, task, slot);
    return context.router.forgotten(task.ref);
  }
  if (adopted.kind !== 'live') return;
  if (task.runtime === '') task.runtime = adopted.runtime;
  for (const snapshot of adopted.processes) {
    const { exec, stdio } = snapshot;
    const process = exec === undefined ? task.init : findExec(context, task, exec, stdio);
    applySnapshot(context, task, process, snapshot);
  }
  context.router.created(task);
  forgetLostExecs(
    context,
    task,
    adopted.processes.flatMap(({ exec }) => exec ?? []),
  );
}

/** An exec that the shim does not know any more has ended, or was never added. */
function forgetLostExecs(context: Context, task: Task, known: readonly string[]): void {
  for (const [exec, process] of task.execs) {
    if (known.includes(exec)) continue;
    const { state } = process;
    if (isRunning(state))
      context.router.exit(process.ref, { pid: process.pid, status: 137, exitedAt: timestampNow() }, 'made-up');
    else if (state.kind === 'created' || state.kind === 'starting') {
      task.execs.delete(exec);
      context.router.remove(process);
      process.set({ kind: 'deleted' });
      process.waiters.reject(notFound(`process does not exist ${exec}: not found`));
    }
  }
}

/** A create that was cut off is undone by itself. */
function isTaken({ registry }: Context, ref: AdoptedTask): boolean {
  return registry.findTask(ref) !== undefined || registry.isReserved(ref);
}

/** A task that nobody knows of: a create or a delete that was cut off. Its id cannot be had before it is removed. */
function removeUnknown(context: Context, shim: Shim, { namespace, task }: AdoptedTask): void {
  const ref = { namespace, task };
  const { background, deadlines, registry } = context;
  const reservation = registry.reserve(ref);
  const budget = deadlines.cleanup * 2;
  const removal = insist(background.signal, () =>
    removeByForce(context, ref, { slot: shim.slot, shim }, { budget }),
  ).finally(() => reservation.release());
  reservation.undoing(removal.catch(() => undefined));
  background.run('half-made task not removed', () => removal);
}
