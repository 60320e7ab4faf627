import { deadlineExceeded, hasCode, TaskError } from '../../../src/shared/errors/index.ts';
import type { CreateSandboxOperation, ShimInfo } from '../../../src/shared/messages/index.ts';
import type { SandboxRecord } from '../../../src/shared/sandbox-record.ts';
import { deadlineIn, until } from '../../../src/shared/util/deadline.ts';
import { wireAny } from '../../../src/shared/wire/any.ts';
import { endRemains, sandboxRemains } from '../../shim/dead-task.ts';
import { endShim, killShim } from '../../shim/end-shim.ts';
import { launchShim } from '../../shim/launch-shim.ts';
import { dropSandboxBundle, prepareSandboxBundle, writeSandboxRecord } from '../../shim/sandbox-bundle.ts';
import { callSandbox, sandboxMethods } from '../../shim/sandbox-methods.ts';
import type { Shim } from '../../shim/shim.ts';
import { shimKey, type WorkerSlot } from '../../slot.ts';

/** How far a create has come, for whoever has to undo it. */
interface Progress {
  bundle: boolean;
  shim?: Shim;
  /** CreateSandbox was sent: the shim may have made something. */
  sent: boolean;
  /** The caller has given up: what is made from now on is undone. */
  abandoned: boolean;
}

function assertWanted({ sandbox }: CreateSandboxOperation, { abandoned }: Progress): void {
  if (abandoned) throw deadlineExceeded(`creating sandbox ${sandbox}: the caller gave up: deadline exceeded`);
}

async function make(slot: WorkerSlot, operation: CreateSandboxOperation, progress: Progress): Promise<ShimInfo> {
  const { namespace, sandbox, start, runtime, spec, rootfs, options, netnsPath, annotations } = operation;
  const { binary } = start;
  const record: SandboxRecord = { namespace, sandbox, binary, runtime, phase: 'creating', pid: 0 };
  const bundle = await prepareSandboxBundle(slot.settings.directories, record, spec);
  progress.bundle = true;
  const shim = await launchShim(slot, { namespace, start, mode: 'sandbox', bundle });
  progress.shim = shim;
  assertWanted(operation, progress);
  progress.sent = true;
  await callSandbox(shim, sandboxMethods.create, {
    sandboxId: sandbox,
    bundlePath: bundle,
    rootfs: rootfs.map((mount) => ({ ...mount, options: [...mount.options] })),
    netnsPath,
    annotations: { ...annotations },
    ...(options === undefined ? {} : { options: wireAny(options) }),
  });
  assertWanted(operation, progress);
  await writeSandboxRecord(bundle, { ...record, phase: 'created' });
  // From here on the lost shim's path takes care of it.
  slot.liveShim(shim.ref);
  return shim.info;
}

/** Leaves nothing of a create that failed or came too late. Never throws. */
async function undo(slot: WorkerSlot, operation: CreateSandboxOperation, progress: Progress): Promise<void> {
  const { shim, sent, bundle } = progress;
  if (shim !== undefined) {
    // Its end is no loss from now on.
    shim.state = 'stopping';
    const deadline = deadlineIn(slot.settings.deadlines.shutdown);
    const request = { sandboxId: operation.sandbox };
    if (sent && !progress.abandoned) {
      await shim.client.send(sandboxMethods.shutdown, request, { deadline }).catch(() => undefined);
    }
    await endShim(slot, shim);
    // One that was killed in the middle of it, or did not answer, may have made a process, a cgroup or mounts.
    if (sent) await endRemains(slot, sandboxRemains(shim.ref, shim.bundle, shim.binary));
  }
  if (bundle) await dropSandboxBundle(slot, operation);
}

/** For a shutdown, after which the id belongs to somebody else: what is undone then must not be theirs. */
function noteCreate(slot: WorkerSlot, { namespace, start }: CreateSandboxOperation, whole: Promise<unknown>): void {
  const key = shimKey({ namespace, shim: start.shim });
  const forget = () => {
    if (slot.creatingSandboxes.get(key) === over) slot.creatingSandboxes.delete(key);
  };
  const over: Promise<void> = whole.then(forget, forget);
  slot.creatingSandboxes.set(key, over);
}

/** All or nothing: a create that fails, or succeeds after its deadline, is undone. */
export async function createSandbox(slot: WorkerSlot, operation: CreateSandboxOperation): Promise<ShimInfo> {
  const progress: Progress = { bundle: false, sent: false, abandoned: false };
  const whole = make(slot, operation, progress).catch(async (error: unknown) => {
    await undo(slot, operation, progress);
    throw TaskError.from(error, `creating sandbox ${operation.sandbox}`);
  });
  noteCreate(slot, operation, whole);
  try {
    return await until(whole, { deadline: operation.deadline, doing: `creating sandbox ${operation.sandbox}` });
  } catch (error) {
    if (hasCode(error, 'DEADLINE_EXCEEDED')) {
      progress.abandoned = true;
      // Nothing else is in it yet: a shim that hangs in the create would hang for ever.
      if (progress.shim !== undefined) {
        progress.shim.state = 'stopping';
        killShim(slot, progress.shim).catch(() => undefined);
      }
    }
    throw error;
  }
}
