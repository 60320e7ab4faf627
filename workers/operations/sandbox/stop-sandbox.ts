import { hasCode } from '../../../src/shared/errors/index.ts';
import { parseShimId } from '../../../src/shared/identifiers.ts';
import type { StopSandboxOperation } from '../../../src/shared/messages/index.ts';
import { callSandbox, sandboxMethods } from '../../shim/sandbox-methods.ts';
import type { WorkerSlot } from '../../slot.ts';

/** Has the shim stop the sandbox. One that goes while it answers, or knows no such sandbox, has stopped it. */
export async function stopSandbox(slot: WorkerSlot, operation: StopSandboxOperation): Promise<{ stopped: true }> {
  const { namespace, sandbox, deadline, timeoutSeconds } = operation;
  const shim = slot.liveShim({ namespace, shim: parseShimId(sandbox) });
  try {
    const request = { sandboxId: sandbox, timeoutSecs: timeoutSeconds };
    await callSandbox(shim, sandboxMethods.stop, request, { deadline });
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND', 'UNAVAILABLE')) throw error;
  }
  return { stopped: true };
}
