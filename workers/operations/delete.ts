import { failedPrecondition, hasCode, unavailable } from '../../src/shared/errors/index.ts';
import type { DeleteOperation, Exit } from '../../src/shared/messages/index.ts';
import { isForOneTask } from '../../src/shared/placement-mode.ts';
import { deadlineIn, until } from '../../src/shared/util/deadline.ts';
import { plainTimestamp, timestampNow } from '../../src/shared/wire/timestamp.ts';
import { appendProcess, removeBundle } from '../shim/bundle.ts';
import { endRemains } from '../shim/dead-task.ts';
import { endShim } from '../shim/end-shim.ts';
import { forgetExec } from '../shim/forget-exec.ts';
import { unmountCriuRoot } from '../shim/mounts.ts';
import { underWatch } from '../shim/watchdog.ts';
import type { WorkerSlot } from '../slot.ts';
import type { Task, TaskProcess } from '../task.ts';

/** Has the shim delete a process. What the shim deleted once is not asked for again. */
async function deleteInShim(slot: WorkerSlot, task: Task, process: TaskProcess): Promise<Exit> {
  if (process.deleted !== undefined) return process.deleted;
  let exit: Exit;
  try {
    const request = { id: task.ref.task, execId: process.exec ?? '' };
    const { shim } = task;
    if (process.restores) {
      const { namespace, task: id } = task.ref;
      await unmountCriuRoot(namespace, id, deadlineIn(slot.settings.deadlines.cleanup));
    }
    const call = () => shim.client.call((api) => api.delete, request);
    const { pid, exitStatus, exitedAt } = await underWatch(slot, shim, task.ref.task, call);
    const time = plainTimestamp(exitedAt);
    exit = { pid, status: exitStatus, exitedAt: time ?? timestampNow() };
    if (time !== undefined && process.pid > 0) slot.exits.settle(task, process, exit, 'wait');
  } catch (error) {
    // An earlier delete of it went through, and only its answer was lost; or the shim has lost its exit, and refuses.
    const over = hasCode(error, 'NOT_FOUND') || (process.madeUp && !hasCode(error, 'UNAVAILABLE', 'DEADLINE_EXCEEDED'));
    if (!over || process.exit === undefined) throw error;
    exit = process.exit;
    if (process.madeUp) await endForgotten(slot, task, process);
  }
  // The exit that was reported is the one; a shim's Delete may round its time.
  process.deleted = process.exit ?? exit;
  return process.deleted;
}

/** Ends what the runtime still has of a task whose shim will not delete it, as it has not seen it end. */
async function endForgotten(slot: WorkerSlot, task: Task, process: TaskProcess): Promise<void> {
  if (process.exec !== undefined) return;
  const { ref, bundle, shim } = task;
  await endRemains(slot, { ref, bundle, binary: shim.binary });
}

async function deleteExec(slot: WorkerSlot, task: Task, process: TaskProcess): Promise<Exit> {
  let exit: Exit;
  try {
    exit = await deleteInShim(slot, task, process);
  } catch (error) {
    // Its shim does not have it: its name is free.
    if (hasCode(error, 'NOT_FOUND')) forgetExec(task, process);
    throw error;
  }
  appendProcess(task.bundle, { ...process.record, deleted: true });
  task.processes.delete(process.exec);
  return exit;
}

async function deleteInit(slot: WorkerSlot, task: Task, init: TaskProcess): Promise<Exit> {
  const { shim } = task;
  if (init.exit !== undefined && init.deleted === undefined) {
    // Execs end with init at the latest; a shim leaks what of them is not deleted before.
    const execs = [...task.processes.values()].filter((process) => process !== init);
    await Promise.all(execs.map((process) => joinDelete(slot, task, process).catch(() => undefined)));
  }
  const exit = await deleteInShim(slot, task, init);
  // It was ended by force meanwhile, and its name may be another's by now.
  if (!slot.has(task)) return exit;
  if (isForOneTask(shim.mode)) await endShim(slot, shim);
  if (!slot.has(task)) return exit;
  await removeBundle(task.bundle, slot.settings.directories, deadlineIn(slot.settings.deadlines.cleanup));
  await shim.loss;
  slot.remove(task);
  return exit;
}

/** Deletes a process, or joins the delete of it that is under way. */
function joinDelete(slot: WorkerSlot, task: Task, process: TaskProcess): Promise<Exit> {
  process.deleting ??= (
    process.exec === undefined ? deleteInit(slot, task, process) : deleteExec(slot, task, process)
  ).finally(() => {
    process.deleting = undefined;
  });
  return process.deleting;
}

/**
 * Deletes a stopped process; with init go the bundle and the shim where it was the task's own. It can be repeated until
 * it has succeeded, and gives the same exit each time, also to the one who asks again after a delete that took too long.
 */
export async function deleteProcess(slot: WorkerSlot, operation: DeleteOperation): Promise<Exit> {
  const late = slot.takeLateDelete(operation);
  if (late !== undefined) return late;
  const { task, process } = slot.process(operation);
  const name = operation.exec ?? operation.task;
  if (process.adding) throw unavailable(`process ${name} is still being added: try again when that has ended`);
  // Stopping its start in the middle would leave a process that nobody knows.
  if (process.start === 'running') {
    throw failedPrecondition(`cannot delete process ${name}: a start is under way: failed precondition`);
  }
  const whole = joinDelete(slot, task, process);
  try {
    return await until(whole, { deadline: operation.deadline, doing: `deleting process ${name}` });
  } catch (error) {
    if (hasCode(error, 'DEADLINE_EXCEEDED')) {
      whole.then((exit) => slot.keepLateDelete(operation, exit)).catch(() => undefined);
    }
    throw error;
  }
}
