import { threadId } from 'node:worker_threads';
import { TaskError } from '../../src/shared/errors/index.ts';
import type { AttachOperation, Order } from '../../src/shared/messages/index.ts';
import { deadlineIn } from '../../src/shared/util/deadline.ts';
import { IdleCollector } from '../../src/shared/util/idle-collector.ts';
import { VitalsMonitor } from '../../src/shared/util/vitals.ts';
import { sweepRemoved } from '../shim/bundle.ts';
import { Heartbeat } from '../shim/heartbeat.ts';
import { WorkerSlot } from '../slot.ts';

/** Makes the thread's slot, and answers when it takes operations. */
export function attach(operation: AttachOperation): { slot: WorkerSlot; reply: { threadId: number } } {
  const { port, settings } = operation;
  const slot = new WorkerSlot(port, settings);
  // Between two turns of its event loop it is in the middle of nothing native.
  port.on('message', (order: Order) => {
    if (order.kind === 'stop') process.exit(0);
  });
  // They end with the thread.
  void new IdleCollector();
  void new Heartbeat(slot);
  void new VitalsMonitor({ onWindow: (vitals) => slot.report({ kind: 'vitals', ...vitals }) });
  // The thread before it may have been lost in the middle of a removal. Several may look at once; nobody waits for it.
  sweepRemoved(settings.directories, deadlineIn(settings.deadlines.cleanup)).catch((error: unknown) => {
    slot.logger.warn('leftovers not swept', { reason: TaskError.from(error).message });
  });
  return { slot, reply: { threadId } };
}
