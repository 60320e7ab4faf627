import type { ProcessRecord } from '../../src/shared/bundle-records.ts';
import { TaskError } from '../../src/shared/errors/index.ts';
import type { TaskRef } from '../../src/shared/identifiers.ts';
import { taskBundle } from '../../src/shared/layout.ts';
import type { AdoptedTask } from '../../src/shared/messages/index.ts';
import { timestampNow } from '../../src/shared/wire/timestamp.ts';
import { taskKey, type WorkerSlot } from '../slot.ts';
import { madeUpExits } from '../task.ts';
import { readShimBinaryPath } from './bootstrap-file.ts';
import { readProcesses, readTaskRecord } from './bundle.ts';
import { dropBundle, endRemains } from './dead-task.ts';
import type { Shim } from './shim.ts';

/** What the bundle of one task says. */
export interface FoundTask {
  readonly ref: TaskRef;
  readonly bundle: string;
  readonly binary: string | undefined;
  readonly runtime: string;
  readonly processes: readonly ProcessRecord[];
  /** The bundle was made by an older version, or another program, that wrote no record. */
  readonly older: boolean;
}

export async function readFound(slot: WorkerSlot, ref: TaskRef): Promise<FoundTask> {
  const bundle = taskBundle(slot.settings.directories, ref.namespace, ref.task);
  const record = await readTaskRecord(bundle);
  return {
    ref: { namespace: ref.namespace, task: ref.task },
    bundle,
    binary: record?.binary || (await readShimBinaryPath(bundle)),
    runtime: record?.runtime ?? '',
    older: record === undefined,
    // Init comes first; it is in the record of the task before it has a pid.
    processes: withInit(await readProcesses(bundle), record?.stdio),
  };
}

function withInit(processes: readonly ProcessRecord[], stdio: ProcessRecord['stdio'] | undefined): ProcessRecord[] {
  const none = { stdin: '', stdout: '', stderr: '', terminal: false };
  const init = processes.find(({ exec }) => exec === undefined) ?? { pid: 0, stdio: stdio ?? none };
  return [init, ...processes.filter(({ exec }) => exec !== undefined)];
}

/** Its bundle is all that tells of its processes, until the exits are stored: it stays as long where there are any. */
export async function endGone(slot: WorkerSlot, found: FoundTask): Promise<AdoptedTask> {
  const at = await endRemains(slot, found);
  const exits = madeUpExits(found.processes, at);
  if (exits.length === 0) await dropBundle(slot, found);
  slot.silent.delete(taskKey(found.ref));
  return { kind: 'gone', ...found.ref, exits };
}

/** Its shim does not answer for it: nothing is known of it, and nothing was touched. */
export function silent(slot: WorkerSlot, found: Pick<FoundTask, 'ref' | 'runtime'>, error: unknown): AdoptedTask {
  const reason = TaskError.from(error).message;
  slot.silent.set(taskKey(found.ref), reason);
  return { kind: 'silent', ...found.ref, runtime: found.runtime, reason };
}

/** One that its shim does not know, or does not keep. Whoever takes it off the list ends it. */
export async function endUnadopted(slot: WorkerSlot, shim: Shim, found: FoundTask): Promise<AdoptedTask> {
  if (shim.unadopted.delete(found.ref.task)) return endGone(slot, found);
  // The clean-up after the shim does, and tells the same.
  await shim.loss;
  return { kind: 'gone', ...found.ref, exits: madeUpExits(found.processes, timestampNow()) };
}
