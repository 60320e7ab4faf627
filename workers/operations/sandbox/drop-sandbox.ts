import { parseShimId } from '../../../src/shared/identifiers.ts';
import type { DropSandboxOperation } from '../../../src/shared/messages/index.ts';
import { until } from '../../../src/shared/util/deadline.ts';
import { dropSandboxBundle } from '../../shim/sandbox-bundle.ts';
import { shimKey, type WorkerSlot } from '../../slot.ts';

async function drop(slot: WorkerSlot, operation: DropSandboxOperation): Promise<{ removed: true }> {
  // What is still cleaned up after its shim reads the bundle.
  await slot.shims.get(shimKey({ namespace: operation.namespace, shim: parseShimId(operation.sandbox) }))?.loss;
  await dropSandboxBundle(slot, operation);
  return { removed: true };
}

/** Removes the bundle of a sandbox whose shim is gone. What cannot be removed is logged. It can be repeated. */
export function dropSandbox(slot: WorkerSlot, operation: DropSandboxOperation): Promise<{ removed: true }> {
  const { deadline, sandbox } = operation;
  return until(drop(slot, operation), { deadline, doing: `removing what is left of sandbox ${sandbox}` });
}
