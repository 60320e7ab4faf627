import { parseShimId, type SandboxRef } from '../../../src/shared/identifiers.ts';
import type { SandboxStatus, SandboxStatusOperation } from '../../../src/shared/messages/index.ts';
import { plainAny } from '../../../src/shared/wire/any.ts';
import { plainTimestamp } from '../../../src/shared/wire/timestamp.ts';
import { callSandbox, sandboxMethods } from '../../shim/sandbox-methods.ts';
import type { Shim } from '../../shim/shim.ts';
import type { WorkerSlot } from '../../slot.ts';

/** What the shim says of the sandbox. */
export async function askStatus(
  shim: Shim,
  { sandbox }: SandboxRef,
  options: { readonly verbose: boolean; readonly deadline: number },
): Promise<SandboxStatus> {
  const { verbose, deadline } = options;
  const answer = await callSandbox(shim, sandboxMethods.status, { sandboxId: sandbox, verbose }, { deadline });
  return {
    pid: answer.pid,
    state: answer.state,
    info: { ...answer.info },
    createdAt: plainTimestamp(answer.createdAt),
    exitedAt: plainTimestamp(answer.exitedAt),
    extra: plainAny(answer.extra),
  };
}

export function readSandboxStatus(slot: WorkerSlot, operation: SandboxStatusOperation): Promise<SandboxStatus> {
  const { namespace, sandbox } = operation;
  return askStatus(slot.liveShim({ namespace, shim: parseShimId(sandbox) }), operation, operation);
}
