import { setImmediate as turn } from 'node:timers/promises';
import { TaskError } from '../../src/shared/errors/index.ts';
import type { TaskRef } from '../../src/shared/identifiers.ts';
import { taskBundle } from '../../src/shared/layout.ts';
import { atOnce } from '../../src/shared/util/at-once.ts';
import { deadlineIn } from '../../src/shared/util/deadline.ts';
import { timestampNow } from '../../src/shared/wire/timestamp.ts';
import { shimKey, type WorkerSlot } from '../slot.ts';
import { madeUpExits, type TaskProcess } from '../task.ts';
import { readTaskRecord, removeBundle } from './bundle.ts';
import { dialShim } from './connection.ts';
import { cleanUpsAtOnce, dropBundle, endRemains, sandboxRemains } from './dead-task.ts';
import { killShim, lives } from './end-shim.ts';
import type { Shim } from './shim.ts';
import { unlinkDeadSocket } from './socket-file.ts';

/** New connections to a shim that keeps breaking them, before it is given up. */
const maxReconnects = 3;

/** Handles the unexpected end of the connection to a shim. */
export function watchConnection(slot: WorkerSlot, shim: Shim): void {
  untilLost(slot, shim).catch((error: unknown) => {
    slot.logger.error('lost shim not cleaned up', { ...shim.ref, reason: TaskError.from(error).message });
  });
}

async function untilLost(slot: WorkerSlot, shim: Shim): Promise<void> {
  const { connection } = shim.client;
  const reason = await connection.closed;
  if (shim.state !== 'live' || shim.client.connection !== connection) return;
  if (await resume(slot, shim)) return;
  await loseShim(slot, shim, reason.message);
}

/** Connects again where the process is there and takes a connection: only the connection was lost then. */
async function resume(slot: WorkerSlot, shim: Shim): Promise<boolean> {
  if (shim.reconnects >= maxReconnects || !(await lives(shim))) return false;
  shim.reconnects += 1;
  try {
    const connection = await dialShim(shim.bootstrap, deadlineIn(slot.settings.deadlines.load));
    // A dying shim may accept for a last moment.
    await turn();
    shim.reconnect(connection);
    await shim.client.call(
      (api) => api.connect,
      { id: shim.ref.shim },
      { deadline: deadlineIn(slot.settings.deadlines.load) },
    );
  } catch {
    shim.client.connection.close();
    return false;
  }
  slot.logger.warn('shim reconnected', { ...shim.ref });
  watchConnection(slot, shim);
  shim.onReconnect?.();
  for (const task of shim.tasks.values()) {
    for (const process of task.processes.values()) if (process.watched) process.watched = false;
    for (const process of task.processes.values()) {
      if (process.exec === undefined || process.pid > 0) slot.exits.watch(task, process);
    }
  }
  return true;
}

/** What is known of a task of a lost shim. */
interface LostTask {
  readonly ref: TaskRef;
  readonly bundle: string;
  readonly processes: Iterable<TaskProcess>;
}

/** Ends what is left of one task of a lost shim and tells that it is over. Its bundle goes when that is stored. */
async function loseTask(slot: WorkerSlot, shim: Shim, { ref, bundle, processes }: LostTask): Promise<void> {
  const record = await readTaskRecord(bundle);
  // By now it is another task's: this one was removed before, and its processes with it.
  const isOther = record !== undefined && record.shim !== shim.ref.shim;
  const at = isOther ? timestampNow() : await endRemains(slot, { ref, bundle, binary: shim.binary });
  const known = [...processes];
  // Nobody was told of it: a create that was cut off.
  if (!isOther && !known.some(({ pid }) => pid > 0)) await dropBundle(slot, { ref, bundle });
  slot.report({ kind: 'task-lost', ...ref, shim: shim.ref.shim, exits: madeUpExits(known, at) });
}

/** Its tasks, and those that it never answered for: whoever takes these off the list ends them. */
function tasksOf(slot: WorkerSlot, shim: Shim): LostTask[] {
  const { namespace } = shim.ref;
  const known = [...shim.tasks.values()].map(({ ref, bundle, processes }) => ({
    ref,
    bundle,
    processes: processes.values(),
  }));
  const others = [...shim.unadopted].map(([task, processes]) => {
    const ref = { namespace, task };
    return { ref, bundle: taskBundle(slot.settings.directories, namespace, task), processes };
  });
  shim.unadopted.clear();
  return [...known, ...others];
}

/**
 * Gives up a shim: tells so, makes sure that its process is gone, and ends what is left of each of its tasks. Creates that
 * are under way fail by themselves and undo themselves.
 */
export async function loseShim(slot: WorkerSlot, shim: Shim, reason: string): Promise<void> {
  if (shim.state !== 'live') return;
  shim.state = 'lost';
  shim.loss = cleanUpAfter(slot, shim, reason);
  await shim.loss;
}

async function cleanUpAfter(slot: WorkerSlot, shim: Shim, reason: string): Promise<void> {
  slot.logger.warn('shim lost', { ...shim.ref, reason });
  slot.report({ kind: 'shim-lost', ...shim.ref, reason });
  for (const task of shim.tasks.values()) task.state = 'lost';
  const tasks = tasksOf(slot, shim);
  shim.client.connection.close();
  if (!(await killShim(slot, shim))) slot.logger.error('lost shim lives on', { ...shim.ref, pid: shim.process?.pid });
  const { cleanup } = slot.settings.deadlines;
  if (shim.mode !== 'joined') await unlinkDeadSocket(shim.bootstrap.address, deadlineIn(cleanup));
  await atOnce(cleanUpsAtOnce, tasks, (task) => loseTask(slot, shim, task));
  if (shim.mode === 'sandbox') await endRemains(slot, sandboxRemains(shim.ref, shim.bundle, shim.binary));
  if (shim.mode === 'shared') {
    await removeBundle(shim.bundle, slot.settings.directories, deadlineIn(cleanup)).catch((error: unknown) => {
      slot.logger.error('bundle not removed', { ...shim.ref, reason: TaskError.from(error).message });
    });
  }
  if (slot.shims.get(shimKey(shim.ref)) === shim) slot.shims.delete(shimKey(shim.ref));
  slot.report({ kind: 'shim-over', ...shim.ref });
}
