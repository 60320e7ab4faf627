import { existsSync } from 'node:fs';
import type { TaskRecord } from '../../src/shared/bundle-records.ts';
import { TaskError } from '../../src/shared/errors/index.ts';
import type { TaskRef } from '../../src/shared/identifiers.ts';
import { shimHome, taskBundle } from '../../src/shared/layout.ts';
import type { DestroyTaskReply } from '../../src/shared/messages/index.ts';
import { isForOneTask } from '../../src/shared/placement-mode.ts';
import { deadlineIn } from '../../src/shared/util/deadline.ts';
import { monotonicNow } from '../../src/shared/util/monotonic.ts';
import { shimKey, taskKey, type WorkerSlot } from '../slot.ts';
import { madeUpExits } from '../task.ts';
import { readBootstrap } from './bootstrap-file.ts';
import { readProcesses, removeBundle } from './bundle.ts';
import { condemn, condemnation } from './condemned.ts';
import { endRemains } from './dead-task.ts';
import { endStrayShims } from './end-shim.ts';
import { forceDelete } from './force-delete.ts';
import { Forgetting } from './forgetting.ts';
import { killProcess, untilGone } from './host-process.ts';
import { savedProcess } from './process-file.ts';
import { leaveGroup, namesGroup } from './shim-group.ts';
import { unlinkDeadSocket } from './socket-file.ts';

/** The shim of a task that is known from its bundle alone goes with the task, unless others of its group need it. */
async function endOwnShim(slot: WorkerSlot, bundle: string, record: TaskRecord): Promise<void> {
  const { deadlines } = slot.settings;
  const bootstrap = await readBootstrap(bundle).catch(() => undefined);
  if (record.mode === 'per-task') {
    const process = await savedProcess(bundle);
    const ref = { namespace: record.namespace, shim: record.shim };
    const grouped = bootstrap !== undefined && namesGroup(bundle);
    if (grouped && (await leaveGroup(slot, { ref, grouped, bootstrap, process }))) return;
    if (process !== undefined) {
      await killProcess(process);
      await untilGone(process, deadlineIn(deadlines.shutdown));
    }
    await endStrayShims(slot, record.binary, bundle);
  }
  if (bootstrap !== undefined && record.mode !== 'joined') {
    await unlinkDeadSocket(bootstrap.address, deadlineIn(deadlines.cleanup));
  }
}

/**
 * Has a shim that lives on, for others, forget a task that is ended from its bundle. False where it may still act on it.
 */
async function isForgotten(slot: WorkerSlot, record: TaskRecord): Promise<boolean> {
  if (isForOneTask(record.mode)) return true;
  const shim = slot.shims.get(shimKey(record));
  if (shim !== undefined) {
    try {
      if (shim.state === 'live' && !shim.unanswered.has(record.task)) await forceDelete(slot, shim, record.task);
      else return !condemn(slot, shim, record.task);
      return true;
    } catch {
      return !condemn(slot, shim, record.task);
    }
  }
  const home = shimHome(slot.settings.directories, record);
  if (!existsSync(home)) return true;
  try {
    new Forgetting(home).add(record.task);
  } catch (error) {
    const reason = TaskError.from(error).message;
    slot.logger.error('ended task not noted', { namespace: record.namespace, task: record.task, reason });
  }
  return false;
}

/** Ends a task whose shim this thread never reached, or which it does not know: what its bundle says has to do. */
export async function endUnreached(
  slot: WorkerSlot,
  ref: TaskRef,
  record: TaskRecord,
  keepBundle: boolean,
): Promise<DestroyTaskReply> {
  const { directories, deadlines } = slot.settings;
  const bundle = taskBundle(directories, ref.namespace, ref.task);
  const processes = await readProcesses(bundle);
  const shim = slot.shims.get(shimKey(record));
  // From here on it is not ended with its shim as well; where it was to be, that comes first.
  shim?.unadopted.delete(ref.task);
  await shim?.loss;
  if (shim?.state === 'live' && isForOneTask(record.mode)) shim.state = 'stopping';
  const forgotten = await isForgotten(slot, record);
  if (isForOneTask(record.mode)) await endOwnShim(slot, bundle, record);
  const at = await endRemains(slot, { ref, bundle, binary: record.binary });
  if (!keepBundle) await removeBundle(bundle, directories, deadlineIn(deadlines.cleanup));
  slot.silent.delete(taskKey(ref));
  if (shim?.state === 'stopping' && slot.shims.get(shimKey(record)) === shim) {
    shim.client.connection.close();
    slot.shims.delete(shimKey(record));
  }
  // An adoption that was under way may have found it before it was gone.
  const adopted = slot.tasks.get(taskKey(ref));
  if (adopted !== undefined) slot.remove(adopted);
  const exits = madeUpExits(processes, at);
  if (forgotten) return { exits };
  // A shim that was never reached does not forget it before it is adopted.
  const reached = slot.shims.has(shimKey(record));
  return { ...(reached ? condemnation(slot, ref) : { condemnedAt: monotonicNow() }), exits };
}
