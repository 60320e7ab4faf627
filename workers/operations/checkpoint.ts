import type { CheckpointOperation } from '../../src/shared/messages/index.ts';
import { wireAny } from '../../src/shared/wire/any.ts';
import type { WorkerSlot } from '../slot.ts';

/** Writes a checkpoint of a task to a directory. */
export async function checkpointTask(slot: WorkerSlot, operation: CheckpointOperation): Promise<{ written: true }> {
  const { client } = slot.task(operation).shim;
  const { path, options, deadline } = operation;
  const request = { id: operation.task, path, ...(options === undefined ? {} : { options: wireAny(options) }) };
  await client.call((api) => api.checkpoint, request, { deadline });
  return { written: true };
}
