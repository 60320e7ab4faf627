import type { ProcessSnapshot, StateOperation } from '../../src/shared/messages/index.ts';
import { snapshotOf } from '../shim/snapshot.ts';
import type { WorkerSlot } from '../slot.ts';

/** Asks the shim for the state of a process. */
export async function readState(slot: WorkerSlot, operation: StateOperation): Promise<ProcessSnapshot> {
  const { task, process } = slot.process(operation);
  const { deadline } = operation;
  const request = { id: operation.task, execId: operation.exec ?? '' };
  return snapshotOf(await task.shim.client.call((api) => api.state, request, { deadline }), process);
}
