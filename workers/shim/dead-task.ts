import { setTimeout as delay } from 'node:timers/promises';
import { TaskError } from '../../src/shared/errors/index.ts';
import { parseTaskId, type ShimRef, type TaskRef } from '../../src/shared/identifiers.ts';
import { deadlineIn } from '../../src/shared/util/deadline.ts';
import { type Timestamp, timestampNow } from '../../src/shared/wire/timestamp.ts';
import type { WorkerSlot } from '../slot.ts';
import { runDelete } from './binary.ts';
import { readBundleSpec, removeBundle } from './bundle.ts';
import { removeEmptyCgroup } from './cgroups.ts';
import { unmountCriuRoot } from './mounts.ts';
import { readSpecFacts } from './spec-facts.ts';

/** Tasks of one dead shim that are cleaned up at the same time; each runs a process or two. */
export const cleanUpsAtOnce = 4;

/** A sandbox is to its shim's `delete` action what a task is: it may have a process and mounts of its own. */
export function sandboxRemains({ namespace, shim }: ShimRef, bundle: string, binary: string | undefined): Remains {
  return { ref: { namespace, task: parseTaskId(shim) }, bundle, binary };
}

export interface Remains {
  readonly ref: TaskRef;
  readonly bundle: string;
  /** Absolute path of the shim's binary; undefined where the bundle does not say. */
  readonly binary: string | undefined;
}

async function cgroupOf(bundle: string): Promise<string | undefined> {
  try {
    const spec = await readBundleSpec(bundle);
    return spec === undefined ? undefined : readSpecFacts(spec).cgroupsPath;
  } catch {
    return undefined;
  }
}

/**
 * Ends what the runtime still has of a task whose shim is gone or has failed it: its processes, its directory, its
 * cgroup; the bundle stays. Answers when that was. Never throws: what could not be ended is logged.
 */
export async function endRemains(slot: WorkerSlot, remains: Remains): Promise<Timestamp> {
  const { ref, bundle, binary } = remains;
  let exitedAt = timestampNow();
  if (binary === undefined) {
    slot.logger.warn('delete action impossible', { ...ref, reason: 'the bundle names no shim' });
  } else {
    const target = { binary, namespace: ref.namespace, id: ref.task, bundle };
    const { cleanup } = slot.settings.deadlines;
    // Once more where it fails: a runc that is just being killed still holds its lock.
    const run = () => runDelete(slot.settings, target, deadlineIn(cleanup));
    try {
      // Where this fails the delete action must not be run: it would go through the mount.
      await unmountCriuRoot(ref.namespace, ref.task, deadlineIn(cleanup));
      ({ exitedAt } = await run().catch(run));
    } catch (error) {
      slot.logger.error('delete action failed', { ...ref, reason: TaskError.from(error).message });
    }
  }
  await removeEmptyCgroup(await cgroupOf(bundle)).catch(() => undefined);
  return exitedAt;
}

/**
 * Removes the bundle of a task that is over, tried again within the cleanup deadline where something in it is busy.
 * Never throws: what stays is logged, with the reason.
 */
export async function dropBundle(slot: WorkerSlot, remains: Pick<Remains, 'ref' | 'bundle'>): Promise<void> {
  const { directories, deadlines } = slot.settings;
  const deadline = deadlineIn(deadlines.cleanup);
  for (let pause = 50; ; pause *= 2) {
    try {
      await removeBundle(remains.bundle, directories, deadline);
      return;
    } catch (error) {
      if (Date.now() + pause < deadline) {
        await delay(pause);
        continue;
      }
      slot.logger.error('bundle not removed', { ...remains.ref, reason: TaskError.from(error).message });
      return;
    }
  }
}
