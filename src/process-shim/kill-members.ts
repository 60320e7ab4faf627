import { setTimeout as delay } from 'node:timers/promises';
import { deadlineIn, remaining } from '../shared/util/deadline.ts';
import type { Membership } from './membership.ts';
import { signalMember, signals } from './signals.ts';

/**
 * Kills members until none is left: one that was seen may have started others meanwhile.
 * Returns the pids that are still there after `budget` milliseconds; the kernel holds those.
 */
export async function killMembers(membership: Membership, budget: number): Promise<readonly number[]> {
  const deadline = deadlineIn(budget);
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    const pids = await membership.pids();
    if (pids.length === 0 || remaining(deadline) === 0) return pids;
    for (const pid of pids) signalMember(pid, signals.SIGKILL);
    await delay(pause);
  }
}
