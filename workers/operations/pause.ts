import type { PauseOperation } from '../../src/shared/messages/index.ts';
import { underWatch } from '../shim/watchdog.ts';
import type { WorkerSlot } from '../slot.ts';

/** Freezes every process of a task. */
export async function pauseTask(slot: WorkerSlot, operation: PauseOperation): Promise<{ paused: true }> {
  const { task: id, deadline } = operation;
  const { shim } = slot.task(operation);
  await underWatch(slot, shim, id, () => shim.client.call((api) => api.pause, { id }, { deadline }));
  return { paused: true };
}
