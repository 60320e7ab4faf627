import { taskBundle } from '../../src/shared/layout.ts';
import type { DropBundleOperation } from '../../src/shared/messages/index.ts';
import { until } from '../../src/shared/util/deadline.ts';
import { dropBundle } from '../shim/dead-task.ts';
import { taskKey, type WorkerSlot } from '../slot.ts';

/** Removes the bundle of a task whose shim is gone. What cannot be removed is logged. It can be repeated. */
export async function removeDeadBundle(
  slot: WorkerSlot,
  { namespace, task: id, deadline }: DropBundleOperation,
): Promise<{ removed: true }> {
  const ref = { namespace, task: id };
  const bundle = taskBundle(slot.settings.directories, namespace, id);
  const removal = slot.removing(ref, () => dropBundle(slot, { ref, bundle }));
  await until(removal, { deadline, doing: `removing what is left of task ${id}` });
  slot.silent.delete(taskKey(ref));
  const task = slot.tasks.get(taskKey(ref));
  if (task?.state === 'lost' || task?.shim.state === 'lost') slot.remove(task);
  return { removed: true };
}
