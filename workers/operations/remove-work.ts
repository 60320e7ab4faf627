import { taskWorkDirectory } from '../../src/shared/layout.ts';
import type { RemoveWorkOperation } from '../../src/shared/messages/index.ts';
import { until } from '../../src/shared/util/deadline.ts';
import { removeWorkDirectory } from '../shim/bundle.ts';
import type { WorkerSlot } from '../slot.ts';

/** Removes an orphan work directory. Throws FAILED_PRECONDITION where something is mounted in it. */
export async function removeWork(slot: WorkerSlot, operation: RemoveWorkOperation): Promise<{ removed: true }> {
  const { namespace, task, deadline } = operation;
  const work = taskWorkDirectory(slot.settings.directories, namespace, task);
  await until(removeWorkDirectory(work, deadline), { deadline, doing: `removing ${work}` });
  return { removed: true };
}
