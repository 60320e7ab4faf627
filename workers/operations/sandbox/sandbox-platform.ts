import { parseShimId } from '../../../src/shared/identifiers.ts';
import type { Platform, SandboxPlatformOperation } from '../../../src/shared/messages/index.ts';
import { callSandbox, sandboxMethods } from '../../shim/sandbox-methods.ts';
import type { WorkerSlot } from '../../slot.ts';

/** What the sandbox's tasks run on: not always the host's own. */
export async function readSandboxPlatform(slot: WorkerSlot, operation: SandboxPlatformOperation): Promise<Platform> {
  const { namespace, sandbox, deadline } = operation;
  const shim = slot.liveShim({ namespace, shim: parseShimId(sandbox) });
  const { platform } = await callSandbox(shim, sandboxMethods.platform, { sandboxId: sandbox }, { deadline });
  return {
    os: platform?.os ?? '',
    architecture: platform?.architecture ?? '',
    variant: platform?.variant ?? '',
  };
}
