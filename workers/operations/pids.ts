import type { PidsOperation, ProcessInfo } from '../../src/shared/messages/index.ts';
import { plainAny } from '../../src/shared/wire/any.ts';
import type { WorkerSlot } from '../slot.ts';

/** The host's processes that belong to a task. */
export async function listPids(slot: WorkerSlot, operation: PidsOperation): Promise<{ processes: ProcessInfo[] }> {
  const { client } = slot.task(operation).shim;
  const { processes } = await client.call((api) => api.pids, { id: operation.task }, { deadline: operation.deadline });
  return { processes: processes.map(({ pid, info }) => ({ pid: pid ?? 0, info: plainAny(info) })) };
}
