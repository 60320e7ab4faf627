import { type Finding, slotComponent, type Trouble } from '../shared/health.ts';
import { spaceTrouble } from '../shared/util/free-space.ts';
import { unreachable } from '../shared/util/unreachable.ts';
import type { Context } from './context.ts';
import type { Shim } from './shim.ts';
import type { TaskSlot } from './task-slot.ts';

/** Shims in trouble that are named one by one; the component `shims` counts all. */
const mostNamed = 100;

/** How the threads, the shims and the exits are, from memory: no shim is asked. */
export function supervisorHealth(context: Context, slots: readonly TaskSlot[]): Finding[] {
  const { watchdog, directories, registry } = context;
  return [
    { component: 'main', trouble: watchdog.mainTrouble },
    ...slots.map((slot) => ({
      component: slotComponent(slot.id),
      trouble: slotTrouble(slot) ?? watchdog.slotTrouble(slot.id),
    })),
    { component: 'state-directory', trouble: spaceTrouble(directories.state) },
    { component: 'exits', trouble: context.keeper.trouble },
    ...shimFindings(registry.shims()),
  ];
}

function slotTrouble({ trouble }: TaskSlot): Trouble | undefined {
  if (trouble === undefined) return undefined;
  return {
    state: 'failed',
    since: trouble.since,
    reason: `its tasks cannot be worked on until its thread is back: ${trouble.reason}`,
  };
}

function shimFindings(shims: readonly Shim[]): Finding[] {
  const troubled = shims.flatMap((shim) => {
    const trouble = shimTrouble(shim);
    return trouble === undefined ? [] : [{ component: `shim/${shim.namespace}/${shim.id}`, trouble }];
  });
  const since = Math.min(...troubled.map(({ trouble }) => trouble.since));
  const trouble: Trouble | undefined =
    troubled.length === 0
      ? undefined
      : { state: 'degraded', since, reason: `${troubled.length} of ${shims.length} are not as they should be` };
  return [{ component: 'shims', trouble }, ...troubled.slice(0, mostNamed)];
}

/** Undefined for one that answers, or is on its way in or out in order. */
export function shimTrouble(shim: Shim): (Trouble & { readonly since: number }) | undefined {
  const { state, stateSince, overdueSince, overdue, tasks, late, silent } = shim;
  switch (state.kind) {
    case 'silent':
      return {
        state: 'failed',
        since: stateSince,
        reason: `it did not answer when it was taken over, and is asked again: ${state.reason}`,
      };
    case 'adopting':
      return { state: 'degraded', since: stateSince, reason: 'it is being taken over' };
    case 'gone':
      if (tasks.size === 0) return undefined;
      return {
        state: 'failed',
        since: stateSince,
        reason: `it is gone, and what is left of ${tasks.size} of its tasks is not removed yet: ${state.reason}`,
      };
    case 'live':
      if (late) return { state: 'failed', since: overdueSince, reason: 'it does not answer its heartbeat' };
      if (silent.size > 0)
        return { state: 'degraded', since: overdueSince, reason: `it does not answer for ${silent.size} of its tasks` };
      if (overdue === 0) return undefined;
      return {
        state: 'degraded',
        since: overdueSince,
        reason: `calls to it passed their deadline since it last answered: ${overdue}`,
      };
    case 'starting':
    case 'stopping':
      return undefined;
    default:
      return unreachable(state);
  }
}
