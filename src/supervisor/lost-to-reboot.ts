import { uptime } from 'node:os';
import path from 'node:path';
import { isIdentifier, parseNamespace, parseTaskId, type TaskRef } from '../shared/identifiers.ts';
import { taskBundle } from '../shared/layout.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import type { Context } from './context.ts';
import { directoriesIn, exists } from './directories.ts';
import type { Task } from './task.ts';
import type { TaskSlot } from './task-slot.ts';

/** Status of a process of which nobody can know how it ended: containerd's own for that. */
const unknownStatus = 255;

/**
 * A task whose work directory is there and whose bundle is not was lost with the state directory, which a boot clears: it
 * ended at the latest then. An exit is stored of it, made up unless a real one is known, and its work directory removed.
 */
export async function rememberLost(context: Context, chooseSlot: () => TaskSlot): Promise<void> {
  const { directories, exits, logger } = context;
  const seconds = Math.floor(Date.now() / 1000 - uptime());
  for (const ref of await orphans(context)) {
    if (exits.get(ref) === undefined) {
      const exit = { pid: 0, status: unknownStatus, exitedAt: { seconds, nanos: 0 }, source: 'made-up' as const };
      exits.put(ref, exit);
    }
    logger.warn('task lost with the state directory', { ...ref, directory: directories.state });
    context.background.run('orphan work directory not removed', async () => {
      await chooseSlot().run({ kind: 'remove-work', deadline: deadlineIn(context.deadlines.cleanup), ...ref });
    });
  }
}

async function orphans({ directories, registry }: Context): Promise<TaskRef[]> {
  const found: TaskRef[] = [];
  for (const namespace of (await directoriesIn(directories.root)).filter(isIdentifier)) {
    for (const task of (await directoriesIn(path.join(directories.root, namespace))).filter(isIdentifier)) {
      const ref = { namespace: parseNamespace(namespace), task: parseTaskId(task) };
      if (registry.findTask(ref) !== undefined || registry.isReserved(ref)) continue;
      if (!(await exists(taskBundle(directories, ref.namespace, ref.task)))) found.push(ref);
    }
  }
  return found;
}

/** True of what is left of such a task: there is nothing to delete, so a create of the id takes its place. */
export function isLostToReboot({ shim, init }: Task): boolean {
  const { state } = init;
  return shim === undefined && state.kind === 'stopped' && state.exit.source === 'made-up' && state.exit.pid === 0;
}
