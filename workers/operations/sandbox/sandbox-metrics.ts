import { parseShimId } from '../../../src/shared/identifiers.ts';
import type { SandboxMetric, SandboxMetricsOperation } from '../../../src/shared/messages/index.ts';
import { plainAny } from '../../../src/shared/wire/any.ts';
import { plainTimestamp } from '../../../src/shared/wire/timestamp.ts';
import { callSandbox, sandboxMethods } from '../../shim/sandbox-methods.ts';
import type { WorkerSlot } from '../../slot.ts';

/** The sandbox's metrics, in the form that its runtime gives them; some give none. */
export async function readSandboxMetrics(slot: WorkerSlot, operation: SandboxMetricsOperation): Promise<SandboxMetric> {
  const { namespace, sandbox, deadline } = operation;
  const shim = slot.liveShim({ namespace, shim: parseShimId(sandbox) });
  const { metrics } = await callSandbox(shim, sandboxMethods.metrics, { sandboxId: sandbox }, { deadline });
  return {
    id: metrics?.id || sandbox,
    timestamp: plainTimestamp(metrics?.timestamp),
    metrics: plainAny(metrics?.data),
  };
}
