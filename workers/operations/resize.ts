import type { ResizeOperation } from '../../src/shared/messages/index.ts';
import type { WorkerSlot } from '../slot.ts';

/** Sets the size of a process's terminal, in characters. */
export async function resizeTerminal(slot: WorkerSlot, operation: ResizeOperation): Promise<{ resized: true }> {
  const { task } = slot.process(operation);
  const { width, height, deadline } = operation;
  const request = { id: operation.task, execId: operation.exec ?? '', width, height };
  await task.shim.client.call((api) => api.resizePty, request, { deadline });
  return { resized: true };
}
