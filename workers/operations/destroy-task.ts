import { notFound, TaskError, unavailable } from '../../src/shared/errors/index.ts';
import type { TaskRef } from '../../src/shared/identifiers.ts';
import { taskBundle } from '../../src/shared/layout.ts';
import type { DestroyTaskOperation, DestroyTaskReply, LostExit } from '../../src/shared/messages/index.ts';
import { isForOneTask } from '../../src/shared/placement-mode.ts';
import { deadlineIn, until } from '../../src/shared/util/deadline.ts';
import { timestampNow } from '../../src/shared/wire/timestamp.ts';
import { readTaskRecord, removeBundle } from '../shim/bundle.ts';
import { condemn, condemnation } from '../shim/condemned.ts';
import { endRemains } from '../shim/dead-task.ts';
import { endShim, killShim } from '../shim/end-shim.ts';
import { type ForcedExit, forceDelete } from '../shim/force-delete.ts';
import { leaveGroup } from '../shim/shim-group.ts';
import { endUnreached } from '../shim/unreached-task.ts';
import { endStuckRuntimes } from '../shim/watchdog.ts';
import { shimKey, taskKey, type WorkerSlot } from '../slot.ts';
import { madeUpExits, type Task } from '../task.ts';

/** Exits of the processes whose end was seen, and made-up ones for the others. */
function exitsOf(task: Task, at = timestampNow()): LostExit[] {
  const processes = [...task.processes.values()];
  const seen = processes.flatMap(({ exec, exit }) =>
    exit === undefined ? [] : [{ exec, ...exit, source: 'wait' as const }],
  );
  return [...seen, ...madeUpExits(processes, at)];
}

/** Where the shim hangs on a runtime that it has started for the task, that is ended first. */
async function freedAndDeleted(slot: WorkerSlot, task: Task): Promise<ForcedExit | undefined> {
  const { shim, ref } = task;
  try {
    return await forceDelete(slot, shim, ref.task);
  } catch (error) {
    const { ended } = await endStuckRuntimes(slot, shim, { task: ref.task, olderThan: 0 });
    if (ended === 0) throw error;
    return forceDelete(slot, shim, ref.task);
  }
}

/** A task whose shim is connected: the shim is asked to kill it, then made to go. */
async function destroyKnown(slot: WorkerSlot, task: Task, keepBundle: boolean): Promise<DestroyTaskReply> {
  const { shim, ref, bundle } = task;
  const own = isForOneTask(shim.mode);
  let at = timestampNow();
  try {
    const forced = await freedAndDeleted(slot, task);
    const init = task.processes.get(undefined);
    if (forced?.exitedAt !== undefined && init !== undefined) {
      const exit = { pid: forced.pid, status: forced.status, exitedAt: forced.exitedAt };
      slot.exits.settle(task, init, exit, 'wait');
    }
    if (own) await endShim(slot, shim);
  } catch (error) {
    slot.logger.warn('task destroyed without its shim', { ...ref, reason: TaskError.from(error).message });
    // From here on the end of its connection is no loss to report.
    if (own) {
      if (shim.state === 'live') shim.state = 'stopping';
      if (!(await leaveGroup(slot, shim))) await killShim(slot, shim);
    }
    condemn(slot, shim, ref.task);
    at = await endRemains(slot, { ref, bundle, binary: shim.binary });
    if (own) await endShim(slot, shim);
  }
  const { directories, deadlines } = slot.settings;
  if (!keepBundle) await removeBundle(bundle, directories, deadlineIn(deadlines.cleanup));
  await shim.loss;
  slot.remove(task);
  return { ...condemnation(slot, ref), exits: exitsOf(task, at) };
}

/** A task whose shim was lost: what is left of it is being ended already. */
async function destroyLost(slot: WorkerSlot, task: Task, keepBundle: boolean): Promise<DestroyTaskReply> {
  // Destroyed beside that, its id would be free for a task that the clean-up then takes for this one.
  await task.shim.loss;
  const { directories, deadlines } = slot.settings;
  if (!keepBundle) await removeBundle(task.bundle, directories, deadlineIn(deadlines.cleanup));
  slot.remove(task);
  return { exits: exitsOf(task) };
}

/** Nothing of a task is here: what there was of it may still be in a shim that did not answer when it was ended. */
function destroyNothing(slot: WorkerSlot, ref: TaskRef): DestroyTaskReply {
  for (const shim of slot.shims.values()) if (shim.ref.namespace === ref.namespace) shim.unadopted.delete(ref.task);
  const { condemnedAt } = condemnation(slot, ref);
  if (condemnedAt !== undefined) return { condemnedAt, exits: [] };
  throw notFound(`task ${ref.task} not found`);
}

async function destroy(slot: WorkerSlot, ref: TaskRef, keepBundle: boolean): Promise<DestroyTaskReply> {
  const bundle = taskBundle(slot.settings.directories, ref.namespace, ref.task);
  const found = slot.tasks.has(taskKey(ref)) ? undefined : await readTaskRecord(bundle);
  // What an adoption finds of it would come back after it was removed.
  if (found !== undefined) await slot.adoptions.get(shimKey(found))?.catch(() => undefined);
  const task = slot.tasks.get(taskKey(ref));
  if (task !== undefined)
    return task.state === 'lost' ? destroyLost(slot, task, keepBundle) : destroyKnown(slot, task, keepBundle);
  const record = await readTaskRecord(bundle);
  return record === undefined ? destroyNothing(slot, ref) : endUnreached(slot, ref, record, keepBundle);
}

/**
 * Ends a task whatever its state, and removes everything of it. Its own shim that does not answer is killed; in a
 * shared one only the task is. Throws NOT_FOUND where there is no such task, FAILED_PRECONDITION where its bundle
 * cannot be removed; it can be repeated.
 */
export async function destroyTask(slot: WorkerSlot, operation: DestroyTaskOperation): Promise<DestroyTaskReply> {
  if (!slot.tasks.has(taskKey(operation)) && slot.isReserved(operation)) {
    throw unavailable(`task ${operation.task} is still being created: try again when its create has ended`);
  }
  const { namespace, task: id } = operation;
  const ref = { namespace, task: id };
  const whole = slot.removing(ref, () => destroy(slot, ref, operation.keepBundle === true));
  return until(whole, { deadline: operation.deadline, doing: `destroying task ${id}` });
}
