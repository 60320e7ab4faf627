import { hasCode, TaskError } from '../../src/shared/errors/index.ts';
import type { TaskId, TaskRef } from '../../src/shared/identifiers.ts';
import { isForOneTask } from '../../src/shared/placement-mode.ts';
import { monotonicNow } from '../../src/shared/util/monotonic.ts';
import type { WorkerSlot } from '../slot.ts';
import { killShim } from './end-shim.ts';
import { forceDelete } from './force-delete.ts';
import { mayLive } from './lost-exits.ts';
import type { Shim } from './shim.ts';

/**
 * Notes that a task was ended without its shim. False where that does not matter to anybody: the shim goes with it, is
 * gone, or is about to go. It is not killed for the sake of its other tasks: see `dropCondemned` for what becomes of it.
 */
export function condemn(slot: WorkerSlot, shim: Shim, task: TaskId): boolean {
  if (isForOneTask(shim.mode) || shim.state !== 'live') return false;
  try {
    shim.forgetting.add(task);
  } catch (error) {
    // A full disk: this thread knows it, and the next one does not.
    slot.logger.error('ended task not noted', { ...shim.ref, task, reason: TaskError.from(error).message });
  }
  return true;
}

/** The part of a reply that says whether a task that was ended may still be acted on by a shim. */
export function condemnation(slot: WorkerSlot, { namespace, task }: TaskRef): { readonly condemnedAt?: number } {
  const at = monotonicNow();
  const shims = [...slot.shims.values()].filter(({ ref, state }) => ref.namespace === namespace && state === 'live');
  return shims.some(({ forgetting }) => forgetting.has(task)) ? { condemnedAt: at } : {};
}

/**
 * What becomes of a shared shim one of whose tasks was ended without it. It gets no new tasks. When it answers again, it
 * is made to forget that task. While it does not, its other tasks run on, and how they end is read from the kernel; when
 * none of them is left that lives, it is killed, which loses nothing.
 */
export async function dropCondemned(slot: WorkerSlot, shim: Shim, answers: boolean): Promise<void> {
  if (!answers) {
    // A sandbox is not over with its tasks: whoever owns it shuts it down.
    if (shim.mode === 'sandbox') return;
    const processes = [...shim.tasks.values()].flatMap((task) => [...task.processes.values()]);
    const lives = [...processes, ...[...shim.unadopted.values()].flat()].some(mayLive);
    if (shim.creating.size > 0 || lives) return;
    slot.logger.warn('silent shim killed', { ...shim.ref, reason: 'none of its tasks lives' });
    await killShim(slot, shim);
    return;
  }
  for (const task of shim.forgetting) {
    // It is not known to the shim before its Create has ended, and would be left then.
    if (shim.unanswered.has(task)) continue;
    try {
      await forceDelete(slot, shim, task);
    } catch (error) {
      if (hasCode(error, 'UNAVAILABLE', 'DEADLINE_EXCEEDED')) return;
      // It has what is left of the task to itself, and will not act on it any more.
      const { message } = TaskError.from(error);
      slot.logger.debug('ended task not forgotten', { ...shim.ref, task, reason: message });
    }
    try {
      shim.forgetting.delete(task);
    } catch (error) {
      // The next thread has it forget the task once more.
      slot.logger.warn('forgotten task still noted', { ...shim.ref, task, reason: TaskError.from(error).message });
    }
    slot.report({ kind: 'task-forgotten', namespace: shim.ref.namespace, task, at: monotonicNow() });
  }
}
