import type { ResumeOperation } from '../../src/shared/messages/index.ts';
import type { WorkerSlot } from '../slot.ts';

/** Lets the processes of a paused task go on. */
export async function resumeTask(slot: WorkerSlot, operation: ResumeOperation): Promise<{ resumed: true }> {
  const { client } = slot.task(operation).shim;
  await client.call((api) => api.resume, { id: operation.task }, { deadline: operation.deadline });
  return { resumed: true };
}
