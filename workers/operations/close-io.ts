import type { CloseIoOperation } from '../../src/shared/messages/index.ts';
import type { WorkerSlot } from '../slot.ts';

/** Closes a process's stdin, for a client that has no more to say. */
export async function closeIo(slot: WorkerSlot, operation: CloseIoOperation): Promise<{ closed: true }> {
  const { task } = slot.process(operation);
  const { stdin, deadline } = operation;
  const request = { id: operation.task, execId: operation.exec ?? '', stdin };
  await task.shim.client.call((api) => api.closeIo, request, { deadline });
  return { closed: true };
}
