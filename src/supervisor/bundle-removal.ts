import { setTimeout as delay } from 'node:timers/promises';
import { unavailable } from '../shared/errors/index.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import { insist } from '../shared/util/insist.ts';
import type { Context } from './context.ts';
import type { Task } from './task.ts';
import type { TaskSlot } from './task-slot.ts';

/** Until a refused exit is looked at again, in milliseconds. */
const pause = 500;

/**
 * Removes the bundle of a task whose shim is gone, once the exits that it tells of are stored: a daemon that is killed
 * before that finds them by it. Whoever frees the id waits for `task.removal`.
 */
export function removeBundleOf(context: Context, task: Task, slot: TaskSlot): void {
  const { background, deadlines, keeper } = context;
  const { ref } = task;
  const removal = (async () => {
    // A full disk; the exits of a task that is being deleted are nobody's any more.
    while (task.processes().some((process) => keeper.refused(process.ref)) && !task.isLeaving) {
      await delay(pause, undefined, { signal: background.signal });
    }
    await insist(background.signal, () =>
      slot.run({ kind: 'drop-bundle', deadline: deadlineIn(deadlines.cleanup * 2), ...ref }),
    );
  })();
  task.removal = removal.catch(() => undefined);
  background.run('bundle of a lost task not removed', () => removal);
}

/**
 * Throws UNAVAILABLE where the daemon stops: a removal may have been given up for that, and what the bundle tells would
 * come back with the next daemon as news.
 */
export function assertServing({ background }: Context, what: string): void {
  if (background.signal.aborted)
    throw unavailable(`deleting ${what}: the daemon is stopping: try again when it is back`);
}
