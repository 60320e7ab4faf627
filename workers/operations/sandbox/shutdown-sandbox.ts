import { failedPrecondition, TaskError, unavailable } from '../../../src/shared/errors/index.ts';
import { parseShimId } from '../../../src/shared/identifiers.ts';
import { sandboxBundle } from '../../../src/shared/layout.ts';
import type { ShutdownSandboxOperation } from '../../../src/shared/messages/index.ts';
import { deadlineIn, until } from '../../../src/shared/util/deadline.ts';
import { readBootstrap, readShimBinaryPath } from '../../shim/bootstrap-file.ts';
import { endRemains, sandboxRemains } from '../../shim/dead-task.ts';
import { endShim, endStrayShims } from '../../shim/end-shim.ts';
import { killProcess, untilGone } from '../../shim/host-process.ts';
import { savedProcess } from '../../shim/process-file.ts';
import { dropSandboxBundle } from '../../shim/sandbox-bundle.ts';
import { callSandbox, sandboxMethods } from '../../shim/sandbox-methods.ts';
import type { Shim } from '../../shim/shim.ts';
import { unlinkDeadSocket } from '../../shim/socket-file.ts';
import { shimKey, type WorkerSlot } from '../../slot.ts';

async function endKnown(slot: WorkerSlot, shim: Shim, { sandbox, namespace }: ShutdownSandboxOperation): Promise<void> {
  if (shim.state === 'lost') {
    await shim.loss;
    return;
  }
  if (shim.tasks.size > 0) {
    throw failedPrecondition(
      `sandbox ${sandbox} still has ${shim.tasks.size} tasks: try again when they are over: failed precondition`,
    );
  }
  // From here on it takes no task, and its end is no loss: some shims go while they answer.
  shim.state = 'stopping';
  for (const create of shim.creating.values()) create.giveUp(unavailable(`sandbox ${sandbox} is being shut down`));
  await Promise.all([...shim.creating.values()].map(({ over }) => over));
  try {
    const deadline = deadlineIn(slot.settings.deadlines.shutdown);
    await callSandbox(shim, sandboxMethods.shutdown, { sandboxId: sandbox }, { deadline });
  } catch (error) {
    slot.logger.debug('sandbox not shut down', { namespace, sandbox, reason: TaskError.from(error).message });
  }
  await endShim(slot, shim);
}

/** A shim that this thread was never connected to: what its bundle says has to do. */
async function endUnknown(slot: WorkerSlot, operation: ShutdownSandboxOperation): Promise<void> {
  const { directories, deadlines } = slot.settings;
  const bundle = sandboxBundle(directories, operation.namespace, operation.sandbox);
  const process = await savedProcess(bundle);
  if (process !== undefined) {
    await killProcess(process);
    await untilGone(process, deadlineIn(deadlines.shutdown));
  }
  const binary = await readShimBinaryPath(bundle);
  if (binary !== undefined) await endStrayShims(slot, binary, bundle);
  if (binary !== undefined) {
    const ref = { namespace: operation.namespace, shim: parseShimId(operation.sandbox) };
    await endRemains(slot, sandboxRemains(ref, bundle, binary));
  }
  const bootstrap = await readBootstrap(bundle).catch(() => undefined);
  if (bootstrap !== undefined) await unlinkDeadSocket(bootstrap.address, deadlineIn(deadlines.cleanup));
}

async function end(slot: WorkerSlot, operation: ShutdownSandboxOperation): Promise<{ ended: true }> {
  const { namespace, sandbox } = operation;
  const key = shimKey({ namespace, shim: parseShimId(sandbox) });
  // A create that was given up undoes itself. One that hangs is ended here, and awaited after that.
  const creating = slot.creatingSandboxes.get(key);
  const limit = deadlineIn(slot.settings.deadlines.shutdown);
  if (creating !== undefined) {
    await until(creating, { deadline: limit, doing: `undoing the create of ${sandbox}` }).catch(() => undefined);
  }
  const shim = slot.shims.get(key);
  if (shim === undefined) await endUnknown(slot, operation);
  else await endKnown(slot, shim, operation);
  await creating;
  await dropSandboxBundle(slot, operation);
  return { ended: true };
}

/** Ends a sandbox's shim and removes its bundle, whatever state they are in. It can be repeated. */
export function shutdownSandbox(slot: WorkerSlot, operation: ShutdownSandboxOperation): Promise<{ ended: true }> {
  const { deadline, sandbox } = operation;
  return until(end(slot, operation), { deadline, doing: `shutting down sandbox ${sandbox}` });
}
