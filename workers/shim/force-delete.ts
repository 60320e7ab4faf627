import { hasCode } from '../../src/shared/errors/index.ts';
import { deadlineIn } from '../../src/shared/util/deadline.ts';
import { plainTimestamp, type Timestamp } from '../../src/shared/wire/timestamp.ts';
import type { WorkerSlot } from '../slot.ts';
import { unmountCriuRoot } from './mounts.ts';
import type { Shim } from './shim.ts';

export interface ForcedExit {
  readonly pid: number;
  readonly status: number;
  readonly exitedAt: Timestamp | undefined;
}

const sigkill = 9;

/**
 * Has the shim kill a task and forget it, within the cleanup deadline. Answers its exit, undefined where the shim did
 * not know it. Throws what the shim answers, UNAVAILABLE or DEADLINE_EXCEEDED where it cannot be used for that.
 */
export async function forceDelete(slot: WorkerSlot, shim: Shim, id: string): Promise<ForcedExit | undefined> {
  const deadline = deadlineIn(slot.settings.deadlines.cleanup);
  const { client } = shim;
  try {
    await client.call((api) => api.kill, { id, signal: sigkill, all: true }, { deadline });
  } catch (error) {
    // It has ended already, or the runtime refuses for the state that it is in; Delete tells.
    if (hasCode(error, 'UNAVAILABLE', 'DEADLINE_EXCEEDED')) throw error;
  }
  await unmountCriuRoot(shim.ref.namespace, id, deadline);
  try {
    await client.call((api) => api.wait, { id }, { deadline });
    const { pid, exitStatus, exitedAt } = await client.call((api) => api.delete, { id }, { deadline });
    return { pid, status: exitStatus, exitedAt: plainTimestamp(exitedAt) };
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}
