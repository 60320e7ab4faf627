import { TaskError } from '../../src/shared/errors/index.ts';
import { deadlineIn, until } from '../../src/shared/util/deadline.ts';
import { shimKey, type WorkerSlot } from '../slot.ts';
import { type HostProcess, isAlive, killProcess, processesOf, socketPathsOf, untilGone } from './host-process.ts';
import type { Shim } from './shim.ts';
import { leaveGroup } from './shim-group.ts';
import { unlinkDeadSocket } from './socket-file.ts';

const maxLooks = 5;

async function endStray(slot: WorkerSlot, stray: HostProcess, bundle: string): Promise<void> {
  const { shutdown, cleanup } = slot.settings.deadlines;
  const sockets = await socketPathsOf(stray.pid);
  await killProcess(stray);
  await untilGone(stray, deadlineIn(shutdown));
  await Promise.all(sockets.map((socket) => unlinkDeadSocket(socket, deadlineIn(cleanup))));
  slot.logger.warn('stray shim killed', { bundle, pid: stray.pid });
}

/**
 * Ends the processes that a failed or unfinished start of a bundle's shim left, with their sockets. Nothing tells their
 * pids or addresses, so they are known by the directory that they work in. Never throws.
 */
export async function endStrayShims(slot: WorkerSlot, binary: string, bundle: string): Promise<void> {
  try {
    // A start action that is still at work can make a shim between the look and the kill: look again.
    for (let look = 0; look < maxLooks; look += 1) {
      const strays = await processesOf(binary, bundle);
      if (strays.length === 0) return;
      await Promise.all(strays.map((stray) => endStray(slot, stray, bundle)));
    }
  } catch (error) {
    slot.logger.warn('stray shims not looked for', { bundle, reason: TaskError.from(error).message });
  }
}

/** Kills the process of a shim that is ours, and waits until it is gone. True where it is, or was not ours to kill. */
export async function killShim(slot: WorkerSlot, shim: Shim): Promise<boolean> {
  const { process } = shim;
  if (process === undefined) return true;
  await killProcess(process);
  return untilGone(process, deadlineIn(slot.settings.deadlines.shutdown));
}

/**
 * Asks a shim without tasks to end, makes sure that it did, and removes its socket file; its bundle is left. From the
 * first moment it takes no task and its end is no loss. A shim that others need is left. Never throws.
 */
export async function endShim(slot: WorkerSlot, shim: Shim): Promise<void> {
  shim.state = 'stopping';
  // Somebody else's, or one that other tasks of its group need: the connection is all that ends.
  if (shim.mode === 'joined' || (await leaveGroup(slot, shim))) {
    shim.client.connection.close();
    forget(slot, shim);
    return;
  }
  const { shutdown, cleanup } = slot.settings.deadlines;
  const deadline = deadlineIn(shutdown);
  const { client, process } = shim;
  try {
    await client.call((api) => api.shutdown, { id: shim.ref.shim, now: false }, { deadline });
    // A shim that was started for another bundle stays as long as that one needs it.
    if (process !== undefined) {
      await until(client.connection.closed, { deadline, doing: `waiting for the end of shim ${shim.ref.shim}` });
    }
  } catch {
    // It went while it answered, or it hangs; the process tells which.
  }
  client.connection.close();
  if (process !== undefined && !(await untilGone(process, deadline))) {
    slot.logger.warn('shim killed', { ...shim.ref, pid: process.pid, reason: 'it did not end when it was asked to' });
    await killShim(slot, shim);
  }
  await unlinkDeadSocket(shim.bootstrap.address, deadlineIn(cleanup));
  forget(slot, shim);
}

function forget(slot: WorkerSlot, shim: Shim): void {
  if (slot.shims.get(shimKey(shim.ref)) === shim) slot.shims.delete(shimKey(shim.ref));
}

/** True where the shim's process is known to live. */
export async function lives(shim: Shim): Promise<boolean> {
  return shim.process !== undefined && isAlive(shim.process);
}
