import { invalidArgument } from '../../src/shared/errors/index.ts';
import type { UpdateOperation } from '../../src/shared/messages/index.ts';
import { wireAny } from '../../src/shared/wire/any.ts';
import { underWatch } from '../shim/watchdog.ts';
import type { WorkerSlot } from '../slot.ts';

/** Changes a task's resource limits. */
export async function updateTask(slot: WorkerSlot, operation: UpdateOperation): Promise<{ updated: true }> {
  const { shim } = slot.task(operation);
  const { resources, annotations, deadline } = operation;
  // Shims panic on an update without resources.
  if (resources.typeUrl === '' || resources.value.length === 0) {
    throw invalidArgument(`update of task ${operation.task} has no resources: invalid argument`);
  }
  const request = { id: operation.task, resources: wireAny(resources), annotations: { ...annotations } };
  await underWatch(slot, shim, operation.task, () => shim.client.call((api) => api.update, request, { deadline }));
  return { updated: true };
}
