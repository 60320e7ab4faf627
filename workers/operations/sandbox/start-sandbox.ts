import { TaskError } from '../../../src/shared/errors/index.ts';
import { parseShimId } from '../../../src/shared/identifiers.ts';
import type { StartSandboxOperation, StartSandboxReply } from '../../../src/shared/messages/index.ts';
import { until } from '../../../src/shared/util/deadline.ts';
import { plainAny } from '../../../src/shared/wire/any.ts';
import { plainTimestamp, timestampNow } from '../../../src/shared/wire/timestamp.ts';
import { watchSandbox } from '../../sandbox-watch.ts';
import { readSandboxRecord, writeSandboxRecord } from '../../shim/sandbox-bundle.ts';
import { callSandbox, sandboxMethods } from '../../shim/sandbox-methods.ts';
import type { WorkerSlot } from '../../slot.ts';

async function startInShim(slot: WorkerSlot, operation: StartSandboxOperation): Promise<StartSandboxReply> {
  const { namespace, sandbox } = operation;
  const shim = slot.liveShim({ namespace, shim: parseShimId(sandbox) });
  const record = await readSandboxRecord(slot.settings.directories, operation);
  await writeSandboxRecord(shim.bundle, { ...record, phase: 'starting' });
  const answer = await callSandbox(shim, sandboxMethods.start, { sandboxId: sandbox });
  // Before the record: an exit must not wait for the disk.
  watchSandbox(slot, shim, { namespace, sandbox });
  const { pid } = answer;
  const createdAt = plainTimestamp(answer.createdAt) ?? timestampNow();
  await writeSandboxRecord(shim.bundle, { ...record, phase: 'started', pid, createdAt }).catch((error: unknown) => {
    // A full disk: it runs, and the next thread finds that out.
    slot.logger.warn('start not recorded', { namespace, sandbox, reason: TaskError.from(error).message });
  });
  const spec = plainAny(answer.spec);
  return { pid, createdAt, ...(spec === undefined ? {} : { spec }) };
}

/** Starts a created sandbox, and waits for its end from then on. A start that outlives its caller goes on. */
export async function startSandbox(slot: WorkerSlot, operation: StartSandboxOperation): Promise<StartSandboxReply> {
  const { deadline, sandbox } = operation;
  return until(startInShim(slot, operation), { deadline, doing: `starting sandbox ${sandbox}` });
}
