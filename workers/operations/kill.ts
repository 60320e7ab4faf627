import { constants } from 'node:os';
import type { KillOperation } from '../../src/shared/messages/index.ts';
import { underWatch } from '../shim/watchdog.ts';
import type { WorkerSlot } from '../slot.ts';

/** Sends a signal. Throws NOT_FOUND (`process already finished`) for a process that ended. */
export async function killProcess(slot: WorkerSlot, operation: KillOperation): Promise<{ sent: true }> {
  const { task } = slot.process(operation);
  const { signal, all, deadline } = operation;
  const request = { id: operation.task, execId: operation.exec ?? '', signal, all };
  const { shim } = task;
  if (signal === constants.signals.SIGKILL) task.killed = true;
  await underWatch(slot, shim, operation.task, () => shim.client.call((api) => api.kill, request, { deadline }));
  return { sent: true };
}
