import { deadlineExceeded, TaskError, unavailable } from '../../src/shared/errors/index.ts';
import type { TaskRef } from '../../src/shared/identifiers.ts';
import { isForOneTask } from '../../src/shared/placement-mode.ts';
import { type Deferred, deferred } from '../../src/shared/util/deferred.ts';
import type { WorkerSlot } from '../slot.ts';
import { condemn } from './condemned.ts';
import { dropBundle, endRemains } from './dead-task.ts';
import { endShim } from './end-shim.ts';
import { forceDelete } from './force-delete.ts';
import type { Shim } from './shim.ts';
import { endStuckRuntimes } from './watchdog.ts';

/** How far a create has come, for whoever has to undo it. */
export class CreateProgress {
  bundle: string | undefined;
  shim: Shim | undefined;
  /** When Create was sent, in milliseconds since 1970: the runtime may have made something, whatever the shim answered. */
  sent: number | undefined;
  /** The shim has the task. */
  created = false;
  /** The caller has given up: what is made from now on is undone. */
  abandoned = false;
  readonly #broken: Deferred<never> = deferred<never>();
  #cut = false;

  constructor() {
    this.#broken.promise.catch(() => undefined);
  }

  /** The shim's answer is waited for no longer: what it makes of the task is for later. */
  get cut(): boolean {
    return this.#cut;
  }

  giveUp(reason: TaskError): void {
    this.abandoned = true;
    this.#broken.reject(reason);
  }

  /** Throws where the caller has given up. */
  assertWanted({ task }: TaskRef): void {
    if (this.abandoned) throw deadlineExceeded(`creating task ${task}: the caller gave up: deadline exceeded`);
  }

  /** The answer of a shim to Create, unless it is given up before. */
  async answer<T>(shim: Shim, { task }: TaskRef, call: () => Promise<T>): Promise<T> {
    shim.unanswered.add(task);
    let answered = false;
    const answer = call().finally(() => {
      answered = true;
      shim.unanswered.delete(task);
    });
    try {
      return await Promise.race([answer, this.#broken.promise]);
    } catch (error) {
      this.#cut = !answered;
      throw error;
    }
  }
}

/**
 * Leaves nothing of a create that failed or came too late, but where its shim does not answer: that is made to forget the
 * task later. Never throws; answers what its caller is told of `error`.
 */
export async function undoCreate(
  slot: WorkerSlot,
  ref: TaskRef,
  progress: CreateProgress,
  error: unknown,
): Promise<TaskError> {
  const failure = TaskError.from(error, `creating task ${ref.task}`);
  const { bundle, shim, sent, created, cut } = progress;
  if (bundle === undefined) return failure;
  const remains = { ref, bundle, binary: shim?.binary };
  let condemned = false;
  if (shim !== undefined && (created || cut)) condemned = !(await isForgotten(slot, shim, ref, progress));
  // The shim says "container not created" of what a failed Create left: only the delete action finds it.
  if (sent !== undefined) await endRemains(slot, remains);
  if (shim !== undefined && isForOneTask(shim.mode)) await endShim(slot, shim);
  await dropBundle(slot, remains);
  // Whoever gets this asks once more for the end of the task, and is told that its id cannot be used yet.
  return condemned ? unavailable(failure.message, failure) : failure;
}

/** False where a shim that lives on may still act on the task. */
async function isForgotten(slot: WorkerSlot, shim: Shim, ref: TaskRef, { cut }: CreateProgress): Promise<boolean> {
  if (cut) {
    // What it has started for the task would make it after everything of it was removed.
    await endStuckRuntimes(slot, shim, { task: ref.task, olderThan: 0 }).catch(() => undefined);
    return !condemn(slot, shim, ref.task);
  }
  try {
    await forceDelete(slot, shim, ref.task);
    return true;
  } catch (error) {
    slot.logger.warn('late create not deleted by its shim', { ...ref, reason: TaskError.from(error).message });
    return !condemn(slot, shim, ref.task);
  }
}
