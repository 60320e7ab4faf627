import type { BinaryFacts, ProbeBinaryOperation } from '../../src/shared/messages/index.ts';
import { until } from '../../src/shared/util/deadline.ts';
import type { WorkerSlot } from '../slot.ts';

/** What is known of a binary. Throws UNKNOWN (`not installed`) where there is none. */
export async function probeBinary(slot: WorkerSlot, operation: ProbeBinaryOperation): Promise<BinaryFacts> {
  const { binary, deadline } = operation;
  return until(slot.facts.get(binary), { deadline, doing: `asking ${binary} for its version` });
}
