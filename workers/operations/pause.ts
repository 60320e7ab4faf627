import type { PauseOperation } from '../../src/shared/messages/index.ts';
import type { WorkerSlot } from '../slot.ts';

/** Freezes every process of a task. */
export async function pauseTask(slot: WorkerSlot, operation: PauseOperation): Promise<{ paused: true }> {
  const { client } = slot.task(operation).shim;
  await client.call((api) => api.pause, { id: operation.task }, { deadline: operation.deadline });
  return { paused: true };
}
