import { failedPrecondition } from '../../src/shared/errors/index.ts';
import type { StopShimOperation } from '../../src/shared/messages/index.ts';
import { deadlineIn, until } from '../../src/shared/util/deadline.ts';
import { readBootstrap, readShimBinaryPath } from '../shim/bootstrap-file.ts';
import { removeBundle } from '../shim/bundle.ts';
import { endShim, endStrayShims } from '../shim/end-shim.ts';
import { killProcess, untilGone } from '../shim/host-process.ts';
import { savedProcess } from '../shim/process-file.ts';
import type { Shim } from '../shim/shim.ts';
import { unlinkDeadSocket } from '../shim/socket-file.ts';
import { shimKey, type WorkerSlot } from '../slot.ts';

async function endWithBundle(slot: WorkerSlot, shim: Shim): Promise<{ stopped: true }> {
  await endShim(slot, shim);
  const { directories, deadlines } = slot.settings;
  await removeBundle(shim.bundle, directories, deadlineIn(deadlines.cleanup));
  return { stopped: true };
}

/** A shim that never answered since this slot was to take it over. */
async function endSilent(slot: WorkerSlot, bundle: string): Promise<{ stopped: true }> {
  const { directories, deadlines } = slot.settings;
  const process = await savedProcess(bundle);
  if (process !== undefined) {
    await killProcess(process);
    await untilGone(process, deadlineIn(deadlines.shutdown));
  }
  const binary = await readShimBinaryPath(bundle);
  if (binary !== undefined) await endStrayShims(slot, binary, bundle);
  const bootstrap = await readBootstrap(bundle).catch(() => undefined);
  if (bootstrap !== undefined) await unlinkDeadSocket(bootstrap.address, deadlineIn(deadlines.cleanup));
  await removeBundle(bundle, directories, deadlineIn(deadlines.cleanup));
  return { stopped: true };
}

/**
 * Ends a shared shim, with force where it does not answer. Throws FAILED_PRECONDITION while a task is in it, or is being
 * created in it.
 */
export async function stopShim(slot: WorkerSlot, operation: StopShimOperation): Promise<{ stopped: true }> {
  const { shim: id, bundle, deadline } = operation;
  const doing = `stopping shim ${id}`;
  if (!slot.shims.has(shimKey(operation))) return until(endSilent(slot, bundle), { deadline, doing });
  const shim = slot.liveShim(operation);
  if (shim.tasks.size > 0 || shim.creating.size > 0) {
    throw failedPrecondition(`shim ${id} still has ${shim.tasks.size + shim.creating.size} tasks: delete them first`);
  }
  return until(endWithBundle(slot, shim), { deadline, doing });
}
