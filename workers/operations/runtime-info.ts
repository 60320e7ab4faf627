import type { RuntimeInfo, RuntimeInfoOperation } from '../../src/shared/messages/index.ts';
import { runInfo } from '../shim/binary.ts';
import type { WorkerSlot } from '../slot.ts';

/** What a shim says of its runtime. */
export async function readRuntimeInfo(slot: WorkerSlot, operation: RuntimeInfoOperation): Promise<RuntimeInfo> {
  const { binary, options, deadline } = operation;
  return runInfo(slot.settings, binary, options, deadline);
}
