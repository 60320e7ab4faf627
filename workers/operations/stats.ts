import { TaskError } from '../../src/shared/errors/index.ts';
import type { StatsOperation } from '../../src/shared/messages/index.ts';
import { type Any, plainAny } from '../../src/shared/wire/any.ts';
import type { WorkerSlot } from '../slot.ts';

/** A task's metrics, in the form that its runtime gives them. */
export async function readStats(slot: WorkerSlot, operation: StatsOperation): Promise<{ stats: Any }> {
  const { client } = slot.task(operation).shim;
  const response = await client.call((api) => api.stats, { id: operation.task }, { deadline: operation.deadline });
  const stats = plainAny(response.stats);
  if (stats === undefined) throw new TaskError('UNKNOWN', `the shim of task ${operation.task} gave no metrics`);
  return { stats };
}
