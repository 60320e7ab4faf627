import { setTimeout as delay } from 'node:timers/promises';
import { unavailable } from '../shared/errors/index.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import { insist } from '../shared/util/insist.ts';
import type { Context } from './context.ts';
import type { Task } from './task.ts';
import type { TaskSlot } from './task-slot.ts';

/** Until a refused exit is looked at again, in milliseconds. */
const pause = 500;

/** What has a bundle that outlives its shim. Whoever frees the id waits for `removal`. */
interface Owner {
  removal: Promise<void> | undefined;
}

/**
 * Removes a bundle whose shim is gone, once the exits that it tells of are stored: a daemon that is killed before that
 * finds them by it. `isNeeded` is true as long as a full disk refuses one that somebody still asks for.
 */
export function removeOnceStored(
  { background }: Context,
  owner: Owner,
  isNeeded: () => boolean,
  drop: () => Promise<unknown>,
): void {
  const removal = (async () => {
    while (isNeeded()) await delay(pause, undefined, { signal: background.signal });
    await insist(background.signal, drop);
  })();
  owner.removal = removal.catch(() => undefined);
  background.run('bundle of a lost shim not removed', () => removal);
}

/** See `removeOnceStored`. The exits of a task that is being deleted are nobody's any more. */
export function removeBundleOf(context: Context, task: Task, slot: TaskSlot): void {
  const { deadlines, keeper } = context;
  const isNeeded = () => !task.isLeaving && task.processes().some((process) => keeper.refused(process.ref));
  removeOnceStored(context, task, isNeeded, () =>
    slot.run({ kind: 'drop-bundle', deadline: deadlineIn(deadlines.cleanup * 2), ...task.ref }),
  );
}

/**
 * Throws UNAVAILABLE where the daemon stops: a removal may have been given up for that, and what the bundle tells would
 * come back with the next daemon as news.
 */
export function assertServing({ background }: Context, what: string): void {
  if (background.signal.aborted)
    throw unavailable(`deleting ${what}: the daemon is stopping: try again when it is back`);
}
