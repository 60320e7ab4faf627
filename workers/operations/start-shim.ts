import { deadlineExceeded, hasCode } from '../../src/shared/errors/index.ts';
import type { ShimInfo, StartShimOperation } from '../../src/shared/messages/index.ts';
import { deadlineIn, until } from '../../src/shared/util/deadline.ts';
import { prepareShimBundle, removeBundle } from '../shim/bundle.ts';
import { endShim } from '../shim/end-shim.ts';
import { launchShim } from '../shim/launch-shim.ts';
import type { WorkerSlot } from '../slot.ts';

async function startInBundle(
  slot: WorkerSlot,
  operation: StartShimOperation,
  caller: { gone: boolean },
): Promise<ShimInfo> {
  const { namespace, start } = operation;
  const { directories, deadlines } = slot.settings;
  const bundle = prepareShimBundle(directories, namespace, start.shim);
  try {
    const shim = await launchShim(slot, { namespace, start, mode: 'shared', bundle });
    if (!caller.gone) return shim.info;
    await endShim(slot, shim);
    throw deadlineExceeded(`starting shim ${start.shim}: the caller gave up: deadline exceeded`);
  } catch (error) {
    await removeBundle(bundle, directories, deadlineIn(deadlines.cleanup));
    throw error;
  }
}

/** Starts a shared shim. All or nothing; one that starts after its caller gave up is ended again. */
export async function startShim(slot: WorkerSlot, operation: StartShimOperation): Promise<ShimInfo> {
  const caller = { gone: false };
  try {
    const doing = `starting shim ${operation.start.shim}`;
    return await until(startInBundle(slot, operation, caller), { deadline: operation.deadline, doing });
  } catch (error) {
    if (hasCode(error, 'DEADLINE_EXCEEDED')) caller.gone = true;
    throw error;
  }
}
