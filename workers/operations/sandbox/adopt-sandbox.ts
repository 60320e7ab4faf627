import { hasCode, TaskError } from '../../../src/shared/errors/index.ts';
import { parseShimId } from '../../../src/shared/identifiers.ts';
import type {
  AdoptSandboxOperation,
  AdoptSandboxReply,
  SandboxExit,
  SandboxStatus,
} from '../../../src/shared/messages/index.ts';
import { deadlineIn, earlier } from '../../../src/shared/util/deadline.ts';
import { plainTimestamp } from '../../../src/shared/wire/timestamp.ts';
import { watchSandbox } from '../../sandbox-watch.ts';
import { readSandboxRecord, writeSandboxRecord } from '../../shim/sandbox-bundle.ts';
import { callSandbox, sandboxMethods } from '../../shim/sandbox-methods.ts';
import type { Shim } from '../../shim/shim.ts';
import type { WorkerSlot } from '../../slot.ts';
import { askStatus } from './sandbox-status.ts';

/**
 * A start that was cut off may have come through, and its sandbox be over by now. One that was never started may have a
 * pid, as its process waits for the start: the state says more, where the shim tells it.
 */
function runs({ pid, state, exitedAt }: SandboxStatus): boolean {
  return exitedAt !== undefined || (state === '' ? pid > 0 : /(^|_)READY$/.test(state));
}

/** The exit of a sandbox that is said to have ended; undefined where the shim does not tell it now. */
async function askExit(shim: Shim, sandbox: string, deadline: number): Promise<SandboxExit | undefined> {
  const answer = await callSandbox(shim, sandboxMethods.wait, { sandboxId: sandbox }, { deadline });
  const exitedAt = plainTimestamp(answer.exitedAt);
  return exitedAt === undefined ? undefined : { status: answer.exitStatus, exitedAt };
}

/**
 * Asks an adopted shim how its sandbox is, and waits for its end again where it was started. A shim that tells nothing is
 * believed to be as its bundle says. Throws DEADLINE_EXCEEDED for one that does not answer.
 */
export async function adoptSandbox(slot: WorkerSlot, operation: AdoptSandboxOperation): Promise<AdoptSandboxReply> {
  const { namespace, sandbox } = operation;
  const { directories, deadlines } = slot.settings;
  const shim = slot.liveShim({ namespace, shim: parseShimId(sandbox) });
  const record = await readSandboxRecord(directories, operation);
  const budget = () => earlier(deadlineIn(deadlines.state), operation.deadline);
  let status: SandboxStatus | undefined;
  try {
    status = await askStatus(shim, operation, { verbose: false, deadline: budget() });
  } catch (error) {
    if (hasCode(error, 'DEADLINE_EXCEEDED', 'UNAVAILABLE')) throw error;
    slot.logger.warn('sandbox not asked', { namespace, sandbox, reason: TaskError.from(error).message });
  }
  const cameThrough = record.phase === 'starting' && status !== undefined && runs(status);
  const started = record.phase === 'started' || cameThrough;
  const pid = status?.pid || record.pid;
  const createdAt = record.createdAt ?? status?.createdAt;
  if (cameThrough) await writeSandboxRecord(shim.bundle, { ...record, phase: 'started', pid, createdAt });
  const exit =
    status?.exitedAt === undefined ? undefined : await askExit(shim, sandbox, budget()).catch(() => undefined);
  if (started && exit === undefined) watchSandbox(slot, shim, { namespace, sandbox });
  return { phase: started ? 'started' : 'created', pid, createdAt, exit };
}
