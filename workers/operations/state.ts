import type { ProcessSnapshot, StateOperation } from '../../src/shared/messages/index.ts';
import { askState } from '../shim/ask-state.ts';
import type { WorkerSlot } from '../slot.ts';

/** Asks the shim for the state of a process. */
export async function readState(slot: WorkerSlot, operation: StateOperation): Promise<ProcessSnapshot> {
  const { task, process } = slot.process(operation);
  return askState(slot, task, process, operation.deadline);
}
