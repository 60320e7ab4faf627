import { failedPrecondition } from '../../src/shared/errors/index.ts';
import type { StopShimOperation } from '../../src/shared/messages/index.ts';
import { deadlineIn, until } from '../../src/shared/util/deadline.ts';
import { removeBundle } from '../shim/bundle.ts';
import { endShim } from '../shim/end-shim.ts';
import type { Shim } from '../shim/shim.ts';
import type { WorkerSlot } from '../slot.ts';

async function endWithBundle(slot: WorkerSlot, shim: Shim): Promise<{ stopped: true }> {
  await endShim(slot, shim);
  const { directories, deadlines } = slot.settings;
  await removeBundle(shim.bundle, directories, deadlineIn(deadlines.cleanup));
  return { stopped: true };
}

/** Ends a shared shim. Throws FAILED_PRECONDITION while a task is in it, or is being created in it. */
export async function stopShim(slot: WorkerSlot, operation: StopShimOperation): Promise<{ stopped: true }> {
  const shim = slot.liveShim(operation);
  if (shim.tasks.size > 0 || shim.creating > 0) {
    throw failedPrecondition(
      `shim ${shim.ref.shim} still has ${shim.tasks.size + shim.creating} tasks: delete them first`,
    );
  }
  const doing = `stopping shim ${shim.ref.shim}`;
  return until(endWithBundle(slot, shim), { deadline: operation.deadline, doing });
}
