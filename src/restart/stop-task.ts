import { hasCode } from '../shared/errors/index.ts';
import type { TaskRef } from '../shared/identifiers.ts';
import type { Exit } from '../shared/messages/index.ts';
import { restartLabels } from '../shared/restart-labels.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import type { Parts } from './parts.ts';
import { isService } from './wish.ts';

export interface StopOptions {
  /** Asks the task to end. */
  readonly signal: number;
  /** How long it has for that before it is killed, in milliseconds. */
  readonly patience: number;
}

const sigkill = 9;
/** How long the end of a killed task is waited for, in milliseconds. */
const killPatience = 10_000;

/**
 * Ends a task and keeps it ended: its labels say so before anything else happens, so that neither this daemon nor the next one
 * starts it again. The task stays, with its exit; undefined where there is none. `quiet` waits for a restart under way.
 */
export async function stopTask(
  parts: Parts,
  ref: TaskRef,
  { signal, patience }: StopOptions,
  quiet: () => Promise<void> | undefined,
): Promise<Exit | undefined> {
  const { tasks } = parts;
  const marked = await markStopped(parts, ref);
  await quiet();
  try {
    const view = await tasks.get(ref);
    if (view.status === 'stopped') return view.exit;
    await unlessEnded(tasks.kill(ref, { signal, all: false }));
    // A frozen process takes no signal before it thaws.
    if (view.status === 'paused') await unlessEnded(tasks.resume(ref));
    return await tasks.wait(ref, { deadline: deadlineIn(patience) }).catch(async (error: unknown) => {
      if (!hasCode(error, 'DEADLINE_EXCEEDED')) throw error;
      await unlessEnded(tasks.kill(ref, { signal: sigkill, all: true }));
      return tasks.wait(ref, { deadline: deadlineIn(killPatience) });
    });
  } catch (error) {
    // A service may be between two tasks.
    if (marked && hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

/** False for a container that is no service, or is not there. */
async function markStopped({ store, changed }: Parts, ref: TaskRef): Promise<boolean> {
  const found = store.containers.find(ref.namespace, ref.task);
  if (found === undefined || !isService(found.labels)) return false;
  const container = await store.containers.update(ref.namespace, ref.task, (current) => ({
    ...current,
    labels: { ...current.labels, [restartLabels.status]: 'stopped', [restartLabels.explicitlyStopped]: 'true' },
  }));
  changed(ref, container);
  return true;
}

async function unlessEnded(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND', 'FAILED_PRECONDITION')) throw error;
  }
}
