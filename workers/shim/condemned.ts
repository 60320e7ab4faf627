import { hasCode, TaskError } from '../../src/shared/errors/index.ts';
import type { WorkerSlot } from '../slot.ts';
import { killShim } from './end-shim.ts';
import { forceDelete } from './force-delete.ts';
import { mayLive } from './lost-exits.ts';
import type { Shim } from './shim.ts';

/**
 * What becomes of a shared shim one of whose tasks was ended without it. It gets no new tasks. When it answers again, it
 * is made to forget that task. While it does not, its other tasks run on, and how they end is read from the kernel; when
 * none of them is left that lives, it is killed, which loses nothing.
 */
export async function dropCondemned(slot: WorkerSlot, shim: Shim, answers: boolean): Promise<void> {
  if (!answers) {
    // A sandbox is not over with its tasks: whoever owns it shuts it down.
    if (shim.mode === 'sandbox') return;
    if (shim.creating > 0 || [...shim.tasks.values()].some((task) => [...task.processes.values()].some(mayLive)))
      return;
    slot.logger.warn('silent shim killed', { ...shim.ref, reason: 'none of its tasks lives' });
    await killShim(slot, shim);
    return;
  }
  for (const task of shim.forgetting) {
    try {
      await forceDelete(slot, shim, task);
    } catch (error) {
      if (hasCode(error, 'UNAVAILABLE', 'DEADLINE_EXCEEDED')) return;
      // It has what is left of the task to itself, and will not act on it any more.
      const { message } = TaskError.from(error);
      slot.logger.debug('ended task not forgotten', { ...shim.ref, task, reason: message });
    }
    shim.forgetting.delete(task);
    slot.report({ kind: 'task-forgotten', namespace: shim.ref.namespace, task });
  }
}
