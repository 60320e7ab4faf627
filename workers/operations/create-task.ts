import path from 'node:path';
import type { TaskRecord } from '../../src/shared/bundle-records.ts';
import { hasCode, unavailable } from '../../src/shared/errors/index.ts';
import type { ShimId } from '../../src/shared/identifiers.ts';
import { bundleFiles } from '../../src/shared/layout.ts';
import type { CreateTaskOperation, CreateTaskReply, ShimChoice } from '../../src/shared/messages/index.ts';
import { remaining, until } from '../../src/shared/util/deadline.ts';
import { deferred } from '../../src/shared/util/deferred.ts';
import { unreachable } from '../../src/shared/util/unreachable.ts';
import { wireAny } from '../../src/shared/wire/any.ts';
import { appendProcess, prepareTaskBundle } from '../shim/bundle.ts';
import { killShim } from '../shim/end-shim.ts';
import { joinShim } from '../shim/join-shim.ts';
import { launchShim } from '../shim/launch-shim.ts';
import { applyRootfsDiff, isThere } from '../shim/rootfs-diff.ts';
import { taskOptions } from '../shim/runc-options.ts';
import type { Shim } from '../shim/shim.ts';
import { readSpecFacts } from '../shim/spec-facts.ts';
import { stdioForShim } from '../shim/stdio.ts';
import { CreateProgress, undoCreate } from '../shim/undo-create.ts';
import { underWatch } from '../shim/watchdog.ts';
import type { WorkerSlot } from '../slot.ts';
import { Task, TaskProcess } from '../task.ts';

function shimOf(choice: ShimChoice, running: Shim | undefined): { readonly shim: ShimId; readonly binary: string } {
  switch (choice.kind) {
    case 'running':
      return { shim: choice.shim, binary: running?.binary ?? '' };
    case 'own':
      return choice.start;
    case 'joined':
      return choice;
    default:
      return unreachable(choice);
  }
}

/** A shim of the task's own, or a connection of its own to somebody else's. */
async function shimFor(slot: WorkerSlot, { namespace, choice }: CreateTaskOperation, bundle: string): Promise<Shim> {
  switch (choice.kind) {
    case 'own':
      return launchShim(slot, { namespace, start: choice.start, mode: 'per-task', bundle });
    case 'joined':
      return joinShim(slot, { namespace, choice, bundle });
    case 'running':
      return slot.liveShim({ namespace, shim: choice.shim });
    default:
      return unreachable(choice);
  }
}

/** Where the root file system of a created task is. */
function rootOf(bundle: string, spec: Uint8Array): string {
  return path.resolve(bundle, readSpecFacts(spec).root ?? bundleFiles.rootfs);
}

async function make(
  slot: WorkerSlot,
  operation: CreateTaskOperation,
  progress: CreateProgress,
): Promise<CreateTaskReply> {
  const { namespace, task: id, choice, stdio, runtime } = operation;
  const ref = { namespace, task: id };
  const { directories } = slot.settings;
  // A shared shim is looked up before anything is written.
  const running = choice.kind === 'running' ? slot.liveShim({ namespace, shim: choice.shim }) : undefined;
  const { shim: shimId, binary } = shimOf(choice, running);
  const options = taskOptions(binary, operation.options, directories);
  const record: TaskRecord = {
    ...ref,
    shim: shimId,
    mode: running?.mode ?? (choice.kind === 'joined' ? 'joined' : 'per-task'),
    binary,
    runtime,
    stdio,
    ...(operation.rootfs.length === 0 ? {} : { rootfs: operation.rootfs }),
    ...(operation.options === undefined ? {} : { options: operation.options }),
  };
  const over = deferred<void>();
  running?.creating.set(id, { giveUp: (reason) => progress.giveUp(reason), over: over.promise });
  try {
    const bundle = await prepareTaskBundle(directories, record, operation.spec);
    progress.bundle = bundle;
    const shim = running ?? (await shimFor(slot, operation, bundle));
    progress.shim = shim;
    progress.assertWanted(operation);
    progress.sent = Date.now();
    const request = {
      id,
      bundle,
      rootfs: operation.rootfs.map((mount) => ({ ...mount, options: [...mount.options] })),
      ...stdioForShim(stdio),
      checkpoint: operation.checkpoint,
      ...(options === undefined ? {} : { options: wireAny(options) }),
    };
    const create = () => shim.client.call((api) => api.create, request);
    const { pid } = await progress.answer(shim, ref, () => underWatch(slot, shim, id, create));
    progress.created = true;
    progress.assertWanted(operation);
    // Between Create, which mounts the root, and Start, which has criu open the files in it.
    if (operation.rootfsDiff !== undefined && (await isThere(operation.rootfsDiff))) {
      await applyRootfsDiff(operation.rootfsDiff, rootOf(bundle, operation.spec));
      progress.assertWanted(operation);
    }
    const init = new TaskProcess({ pid, stdio, restores: operation.checkpoint !== '' });
    init.identify(pid, shim);
    appendProcess(bundle, init.record);
    // From here on the lost shim's path takes care of the task; a shim lost just before does not know it.
    slot.liveShim(shim.ref);
    const task = new Task({ ref, runtime, bundle, shim, processes: [init] });
    slot.add(task);
    slot.exits.watch(task, init);
    return { pid, shim: shim.info };
  } finally {
    running?.creating.delete(id);
    over.resolve();
  }
}

/**
 * Prepares the bundle, starts the shim where it is the task's own, and creates the task. All or nothing: a create that
 * fails, or succeeds after its deadline, is undone, and until then the task's name stays taken.
 */
export async function createTask(slot: WorkerSlot, operation: CreateTaskOperation): Promise<CreateTaskReply> {
  slot.reserve(operation);
  const ref = { namespace: operation.namespace, task: operation.task };
  const progress = new CreateProgress();
  const whole = make(slot, operation, progress)
    .catch(async (error: unknown) => {
      throw await undoCreate(slot, ref, progress, error);
    })
    .finally(() => slot.release(operation));
  try {
    return await until(whole, { deadline: operation.deadline, doing: `creating task ${operation.task}` });
  } catch (error) {
    if (hasCode(error, 'DEADLINE_EXCEEDED')) {
      progress.abandoned = true;
      breakUp(slot, operation, progress, whole);
    }
    throw error;
  }
}

/**
 * Makes a Create that its caller gave up come to an end, where it has not by itself in the time that a call may take, nor
 * soon after by the watchdog: a shim that is the task's own is killed; of one that others need, the answer is not waited
 * for any longer.
 */
function breakUp(
  slot: WorkerSlot,
  { namespace, task }: CreateTaskOperation,
  progress: CreateProgress,
  whole: Promise<CreateTaskReply>,
): void {
  const { call, state } = slot.settings.deadlines;
  const timer = setTimeout(
    () => {
      const { shim } = progress;
      if (shim === undefined) return;
      slot.logger.warn('hanging create broken up', { namespace, task, shim: shim.ref.shim });
      if (shim.mode === 'per-task' && !shim.grouped) killShim(slot, shim).catch(() => undefined);
      else progress.giveUp(unavailable(`the shim ${shim.ref.shim} did not answer within ${call} ms`));
    },
    remaining((progress.sent ?? Date.now()) + call + state),
  );
  timer.unref();
  whole.catch(() => undefined).finally(() => clearTimeout(timer));
}
