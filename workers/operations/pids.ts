import type { PidsOperation, ProcessInfo } from '../../src/shared/messages/index.ts';
import { plainAny } from '../../src/shared/wire/any.ts';
import { underWatch } from '../shim/watchdog.ts';
import type { WorkerSlot } from '../slot.ts';

/** The host's processes that belong to a task. */
export async function listPids(slot: WorkerSlot, operation: PidsOperation): Promise<{ processes: ProcessInfo[] }> {
  const { task: id, deadline } = operation;
  const { shim } = slot.task(operation);
  const call = () => shim.client.call((api) => api.pids, { id }, { deadline });
  const { processes } = await underWatch(slot, shim, id, call);
  return { processes: processes.map(({ pid, info }) => ({ pid: pid ?? 0, info: plainAny(info) })) };
}
