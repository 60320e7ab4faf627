import { hasCode } from '../shared/errors/index.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { containerd } from '../shared/proto/gen/services.js';
import { wireAny } from '../shared/wire/any.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import type { CallLimits, TaskManager, TaskProcess } from './task-manager.ts';

/** Tasks that are asked at the same time. */
const concurrency = 32;
/** How long all tasks together have, in milliseconds; what has not answered by then is left out. */
const budget = 5_000;

/** The metrics of tasks, as many as answer in time: one that fails or hangs takes nothing from the others. */
export async function collectMetrics(
  tasks: TaskManager,
  wanted: readonly TaskProcess[],
  limits: CallLimits,
  logger: Logger,
): Promise<containerd.types.Metric.$Properties[]> {
  const deadline = Math.min(Date.now() + budget, limits.deadline ?? Number.POSITIVE_INFINITY);
  const call: CallLimits = { ...limits, deadline };
  const metrics: containerd.types.Metric.$Properties[] = [];
  const pending = wanted.values();
  const worker = async (): Promise<void> => {
    for (const { namespace, task } of pending) {
      if (Date.now() >= deadline) return;
      try {
        const data = await tasks.stats({ namespace, task }, call);
        metrics.push({ timestamp: timestampNow(), id: task, data: wireAny(data) });
      } catch (error) {
        // A task that was deleted meanwhile has no metrics, and that is no failure.
        if (!hasCode(error, 'NOT_FOUND'))
          logger.warn('metrics not collected', { namespace, task, error: String(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, wanted.length) }, worker));
  return metrics;
}
