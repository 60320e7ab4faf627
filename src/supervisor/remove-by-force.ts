import { hasCode } from '../shared/errors/index.ts';
import type { TaskRef } from '../shared/identifiers.ts';
import type { LostExit } from '../shared/messages/index.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import { adoptionOver } from './ask.ts';
import type { Context } from './context.ts';
import type { Shim } from './shim.ts';
import type { TaskSlot } from './task-slot.ts';

/** Where a task is, or was. */
export interface Whereabouts {
  readonly slot: TaskSlot;
  /** Undefined for a shim of the task's own that is in no list yet. */
  readonly shim: Shim | undefined;
}

/**
 * Has a slot end a task by force and remove everything of it, within `budget` milliseconds; `keepBundle` leaves its bundle for `removeBundleOf`. A shim that lives on without
 * having answered gets no new tasks, and the id is held until that has forgotten the task or is gone. Answers how the
 * task's processes ended; undefined where there was nothing of it. Throws what the slot throws; it can be repeated.
 */
export async function removeByForce(
  context: Context,
  ref: TaskRef,
  { slot, shim }: Whereabouts,
  options: { readonly budget: number; readonly keepBundle?: boolean },
): Promise<readonly LostExit[] | undefined> {
  const { background, deadlines } = context;
  if (shim !== undefined) await adoptionOver(shim, deadlines.load, background.signal, `removing task ${ref.task}`);
  shim?.removing.add(ref.task);
  try {
    const deadline = deadlineIn(options.budget);
    const { keepBundle } = options;
    const { exits, condemnedAt } = await slot.run({ kind: 'destroy-task', deadline, ...ref, keepBundle });
    if (condemnedAt !== undefined && shim !== undefined) holdId(context, ref, shim, condemnedAt);
    return exits;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  } finally {
    shim?.removing.delete(ref.task);
  }
}

/** A shim may still act on a task that was ended without it; `since` by the monotonic clock, in milliseconds. */
export function holdId({ registry }: Context, ref: TaskRef, shim: Shim, since: number): void {
  if (shim.state.kind === 'gone') return;
  if (registry.hold(ref, shim, since)) shim.retired = true;
}
