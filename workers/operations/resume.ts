import type { ResumeOperation } from '../../src/shared/messages/index.ts';
import { underWatch } from '../shim/watchdog.ts';
import type { WorkerSlot } from '../slot.ts';

/** Lets the processes of a paused task go on. */
export async function resumeTask(slot: WorkerSlot, operation: ResumeOperation): Promise<{ resumed: true }> {
  const { task: id, deadline } = operation;
  const { shim } = slot.task(operation);
  await underWatch(slot, shim, id, () => shim.client.call((api) => api.resume, { id }, { deadline }));
  return { resumed: true };
}
