import { notFound, TaskError, unavailable } from '../../src/shared/errors/index.ts';
import { shimHome, taskBundle } from '../../src/shared/layout.ts';
import type { DestroyTaskOperation, DestroyTaskReply, LostExit } from '../../src/shared/messages/index.ts';
import { isForOneTask } from '../../src/shared/placement-mode.ts';
import { deadlineIn, until } from '../../src/shared/util/deadline.ts';
import { timestampNow } from '../../src/shared/wire/timestamp.ts';
import { readBootstrap } from '../shim/bootstrap-file.ts';
import { readProcesses, readTaskRecord, removeBundle } from '../shim/bundle.ts';
import { endRemains } from '../shim/dead-task.ts';
import { endShim, endStrayShims, killShim } from '../shim/end-shim.ts';
import { type ForcedExit, forceDelete } from '../shim/force-delete.ts';
import { killProcess, untilGone } from '../shim/host-process.ts';
import { savedProcess } from '../shim/process-file.ts';
import { leaveGroup } from '../shim/shim-group.ts';
import { unlinkDeadSocket } from '../shim/socket-file.ts';
import { endStuckRuntimes } from '../shim/watchdog.ts';
import { taskKey, type WorkerSlot } from '../slot.ts';
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
async function destroyKnown(slot: WorkerSlot, task: Task): Promise<DestroyTaskReply> {
  const { shim, ref, bundle } = task;
  const own = isForOneTask(shim.mode);
  let at = timestampNow();
  let condemned = false;
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
      shim.state = 'stopping';
      if (!(await leaveGroup(slot, shim))) await killShim(slot, shim);
    }
    at = await endRemains(slot, { ref, bundle, binary: shim.binary });
    if (own) await endShim(slot, shim);
    else if (shim.state === 'live') {
      // It is not killed for the sake of its other tasks: see the heartbeat for what becomes of it.
      condemned = true;
      shim.forgetting.add(ref.task);
    }
  }
  const { directories, deadlines } = slot.settings;
  await removeBundle(bundle, directories, deadlineIn(deadlines.cleanup));
  slot.remove(task);
  return { condemned, exits: exitsOf(task, at) };
}

/** A task whose shim was never reached: what its bundle says has to do. */
async function destroyUnknown(slot: WorkerSlot, operation: DestroyTaskOperation): Promise<DestroyTaskReply> {
  const { namespace, task: id } = operation;
  const { directories, deadlines } = slot.settings;
  const bundle = taskBundle(directories, namespace, id);
  const record = await readTaskRecord(bundle);
  if (record === undefined) throw notFound(`task ${id} not found`);
  const processes = await readProcesses(bundle);
  if (record.mode === 'per-task') {
    const shim = await savedProcess(bundle);
    if (shim !== undefined) {
      await killProcess(shim);
      await untilGone(shim, deadlineIn(deadlines.shutdown));
    }
    await endStrayShims(slot, record.binary, bundle);
  }
  const home = shimHome(directories, record);
  const bootstrap = await readBootstrap(home).catch(() => undefined);
  const at = await endRemains(slot, { ref: { namespace, task: id }, bundle, binary: record.binary });
  if (bootstrap !== undefined && record.mode !== 'joined') {
    await unlinkDeadSocket(bootstrap.address, deadlineIn(deadlines.cleanup));
  }
  await removeBundle(bundle, directories, deadlineIn(deadlines.cleanup));
  slot.silent.delete(taskKey(operation));
  // An adoption that was under way may have found it before it was gone.
  const adopted = slot.tasks.get(taskKey(operation));
  if (adopted !== undefined) slot.remove(adopted);
  return { condemned: !isForOneTask(record.mode), exits: madeUpExits(processes, at) };
}

async function destroy(
  slot: WorkerSlot,
  operation: DestroyTaskOperation,
  task: Task | undefined,
): Promise<DestroyTaskReply> {
  if (task === undefined) return destroyUnknown(slot, operation);
  if (task.state !== 'lost') return destroyKnown(slot, task);
  // Destroyed beside that, its id would be free for a task that the clean-up then takes for this one.
  await task.shim.loss;
  throw notFound(`task ${operation.task} not found: its shim was lost, and it is cleaned up`);
}

/**
 * Ends a task whatever its state, and removes everything of it. Its own shim that does not answer is killed; in a
 * shared one only the task is. Throws NOT_FOUND where there is no such task, FAILED_PRECONDITION where its bundle
 * cannot be removed; it can be repeated.
 */
export async function destroyTask(slot: WorkerSlot, operation: DestroyTaskOperation): Promise<DestroyTaskReply> {
  const task = slot.tasks.get(taskKey(operation));
  if (task === undefined && slot.isReserved(operation)) {
    throw unavailable(`task ${operation.task} is still being created: try again when its create has ended`);
  }
  const whole = destroy(slot, operation, task);
  return until(whole, { deadline: operation.deadline, doing: `destroying task ${operation.task}` });
}
