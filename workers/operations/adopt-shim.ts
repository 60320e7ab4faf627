import { existsSync } from 'node:fs';
import path from 'node:path';
import type { ProcessRecord } from '../../src/shared/bundle-records.ts';
import { hasCode, TaskError } from '../../src/shared/errors/index.ts';
import { bundleFiles } from '../../src/shared/layout.ts';
import type {
  AdoptedTask,
  AdoptShimOperation,
  AdoptShimReply,
  ProcessSnapshot,
} from '../../src/shared/messages/index.ts';
import { isForOneTask } from '../../src/shared/placement-mode.ts';
import { atOnce } from '../../src/shared/util/at-once.ts';
import { deadlineIn, earlier } from '../../src/shared/util/deadline.ts';
import { monotonicNow } from '../../src/shared/util/monotonic.ts';
import { askState } from '../shim/ask-state.ts';
import type { Bootstrap } from '../shim/bootstrap.ts';
import { readBootstrap, readShimBinaryPath } from '../shim/bootstrap-file.ts';
import { appendProcess, removeBundle } from '../shim/bundle.ts';
import { dialShim } from '../shim/connection.ts';
import { cleanUpsAtOnce, endRemains, sandboxRemains } from '../shim/dead-task.ts';
import { endShim, endStrayShims } from '../shim/end-shim.ts';
import { Forgetting } from '../shim/forgetting.ts';
import { endGone, endUnadopted, type FoundTask, readFound, silent } from '../shim/found-task.ts';
import { registerShim } from '../shim/launch-shim.ts';
import { completeBundle } from '../shim/older-bundle.ts';
import { runsAlready } from '../shim/runs-already.ts';
import type { Shim } from '../shim/shim.ts';
import { snapshotOf } from '../shim/snapshot.ts';
import { unlinkDeadSocket } from '../shim/socket-file.ts';
import { shimKey, taskKey, type WorkerSlot } from '../slot.ts';
import { Task, TaskProcess } from '../task.ts';

/** An exec whose Start was cut off, and which its shim would not survive being started again: as one that failed. */
function isCutOff(record: ProcessRecord, snapshot: ProcessSnapshot): boolean {
  return record.exec !== undefined && record.starting === true && snapshot.status === 'created';
}

/** A restore that was cut off: criu may have made anything between nothing and all of the processes. */
function isHalfRestored({ exec, restores, starting }: ProcessRecord, { status }: ProcessSnapshot): boolean {
  return exec === undefined && restores === true && starting === true && status === 'created';
}

/** A create or start that was cut off may have come to a pid without writing it down: the next adoption needs it. */
function recordPids(slot: WorkerSlot, found: FoundTask, processes: Iterable<TaskProcess>): void {
  for (const process of processes) {
    const { exec, pid } = process;
    const known = found.processes.find((record) => record.exec === exec);
    if (pid <= 0 || known?.pid !== 0) continue;
    try {
      appendProcess(found.bundle, process.record);
    } catch (error) {
      slot.logger.warn('pid not recorded', { ...found.ref, exec, reason: TaskError.from(error).message });
    }
  }
}

/** A process as the shim tells it, with the start time that was written down while it was known to be this one. */
function adoptedProcess(shim: Shim, found: FoundTask, { exec, pid, stdio }: ProcessSnapshot): TaskProcess {
  const recorded = found.processes.find((record) => record.exec === exec);
  const startTime = recorded?.pid === pid ? recorded.startTime : undefined;
  const process = new TaskProcess({ exec, pid, stdio, startTime, restores: recorded?.restores });
  if (process.host === undefined) process.identify(pid, shim);
  return process;
}

async function adoptTask(slot: WorkerSlot, shim: Shim, found: FoundTask, deadline: number): Promise<AdoptedTask> {
  const id = found.ref.task;
  const states = await Promise.allSettled(
    found.processes.map(async (record) => {
      const state = await shim.client.call((api) => api.state, { id, execId: record.exec ?? '' }, { deadline });
      const snapshot = snapshotOf(state, record);
      return isCutOff(record, snapshot) ? { ...snapshot, status: 'stopped' as const } : snapshot;
    }),
  );
  const unexpected = states.find((state) => state.status === 'rejected' && !hasCode(state.reason, 'NOT_FOUND'));
  if (unexpected?.status === 'rejected') {
    const { reason } = unexpected;
    return hasCode(reason, 'UNAVAILABLE') ? endUnadopted(slot, shim, found) : silent(slot, found, reason);
  }
  const [first] = states;
  if (first?.status !== 'fulfilled') return endUnadopted(slot, shim, found);
  if (!existsSync(found.bundle)) return endUnadopted(slot, shim, found);
  if (found.older) return adoptOlder(slot, shim, found, deadline);
  const snapshots = states.filter((state) => state.status === 'fulfilled').map((state) => state.value);
  const init = first.value;
  const [initRecord] = found.processes;
  if (initRecord !== undefined && isHalfRestored(initRecord, init)) {
    slot.logger.warn('half restored task removed', { ...found.ref });
    return endUnadopted(slot, shim, found);
  }
  const started = init.status === 'created' && (await runsAlready(found.bundle, init.pid));
  const processes = started
    ? snapshots.map((snapshot) => (snapshot === init ? { ...init, status: 'running' as const } : snapshot))
    : snapshots;
  // It was destroyed while the shim was asked: what the shim still says of it is of no use to anybody.
  if (!existsSync(path.join(found.bundle, bundleFiles.task))) return endUnadopted(slot, shim, found);
  if (shim.state !== 'live') return endUnadopted(slot, shim, found);
  const own = processes.map((snapshot) => adoptedProcess(shim, found, snapshot));
  const task = new Task({ ...found, shim, processes: own });
  slot.add(task);
  shim.unadopted.delete(found.ref.task);
  recordPids(slot, found, own);
  for (const snapshot of processes) {
    const process = task.processes.get(snapshot.exec);
    if (process === undefined) continue;
    const neverRan = snapshot.exec !== undefined && snapshot.status === 'stopped' && snapshot.exit === undefined;
    if (neverRan || (started && snapshot.exec === undefined)) process.start = 'failed';
    if (neverRan) continue;
    if (snapshot.exit !== undefined) slot.exits.note(process, snapshot.exit);
    else if (snapshot.exec === undefined || snapshot.status !== 'created') slot.exits.watch(task, process);
  }
  return { kind: 'live', ...found.ref, runtime: found.runtime, processes };
}

/** Only its init is known: a shim does not list execs. From here on its bundle is one like all others. */
async function adoptOlder(slot: WorkerSlot, shim: Shim, found: FoundTask, deadline: number): Promise<AdoptedTask> {
  const { namespace, task } = found.ref;
  const { client } = shim;
  const state = await client.call((api) => api.state, { id: task }, { deadline });
  const { stdin, stdout, stderr, terminal } = state;
  const stdio = { stdin, stdout, stderr, terminal };
  const { binary } = shim;
  await completeBundle(found.bundle, {
    namespace,
    task,
    shim: shim.ref.shim,
    mode: 'per-task',
    binary,
    runtime: binary,
    stdio,
  });
  slot.logger.info('bundle of an older version taken over', { ...found.ref, binary });
  const processes = [{ pid: 0, stdio }];
  return adoptTask(slot, shim, { ...found, binary, runtime: binary, processes, older: false }, deadline);
}

async function dropShimBundle(slot: WorkerSlot, { bundle }: AdoptShimOperation): Promise<void> {
  const { directories, deadlines } = slot.settings;
  await removeBundle(bundle, directories, deadlineIn(deadlines.cleanup)).catch((error: unknown) => {
    slot.logger.error('bundle not removed', { bundle, reason: TaskError.from(error).message });
  });
}

/** Adoption was asked for again while the task is here: nothing is taken over twice, its processes are asked anew. */
async function reviewTask(slot: WorkerSlot, task: Task, found: FoundTask, deadline: number): Promise<AdoptedTask> {
  try {
    const processes = await Promise.all(
      [...task.processes.values()].map((process) => askState(slot, task, process, deadline)),
    );
    return { kind: 'live', ...task.ref, runtime: task.runtime, processes };
  } catch (error) {
    return { kind: 'silent', ...task.ref, runtime: found.runtime, reason: TaskError.from(error).message };
  }
}

/** Cleans up after a shim that is not there any more. */
async function adoptDead(
  slot: WorkerSlot,
  operation: AdoptShimOperation,
  tasks: readonly FoundTask[],
  bootstrap: Bootstrap | undefined,
): Promise<AdoptShimReply> {
  const { bundle, mode } = operation;
  const { deadlines } = slot.settings;
  const binary = (await readShimBinaryPath(bundle)) ?? tasks[0]?.binary;
  if (binary !== undefined) await endStrayShims(slot, binary, bundle);
  if (bootstrap !== undefined && mode !== 'joined') {
    await unlinkDeadSocket(bootstrap.address, deadlineIn(deadlines.cleanup));
  }
  const gone = await atOnce(cleanUpsAtOnce, tasks, (found) =>
    endGone(slot, { ...found, binary: found.binary ?? binary }),
  );
  if (mode === 'sandbox' && binary !== undefined) await endRemains(slot, sandboxRemains(operation, bundle, binary));
  // A sandbox's tells of its end, which is stored first.
  if (mode === 'shared' || (isForOneTask(mode) && tasks.length === 0)) await dropShimBundle(slot, operation);
  return { tasks: gone, forgetting: [], at: monotonicNow() };
}

async function connect(
  slot: WorkerSlot,
  operation: AdoptShimOperation,
  bootstrap: Bootstrap,
  deadline: number,
): Promise<Shim> {
  const { namespace, shim, mode, bundle } = operation;
  const known = slot.shims.get(shimKey(operation));
  if (known?.state === 'live') return known;
  const connection = await dialShim(bootstrap, deadline);
  try {
    const binary = await readShimBinaryPath(bundle);
    const start = { shim, binary: binary ?? '' };
    return await registerShim(slot, { namespace, start, mode, bundle, bootstrap, connection, deadline });
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** One whose bundle cannot be read keeps none of its neighbours from being taken over. */
async function adopt(slot: WorkerSlot, operation: AdoptShimOperation): Promise<AdoptShimReply> {
  const tasks: FoundTask[] = [];
  const unread: AdoptedTask[] = [];
  for (const ref of operation.tasks) {
    try {
      tasks.push(await readFound(slot, ref));
    } catch (error) {
      slot.logger.error('bundle not read', { ...ref, reason: TaskError.from(error).message });
      unread.push(silent(slot, { ref, runtime: '' }, error));
    }
  }
  const reply = await adoptFound(slot, operation, tasks);
  return unread.length === 0 ? reply : { ...reply, tasks: [...reply.tasks, ...unread] };
}

async function adoptFound(
  slot: WorkerSlot,
  operation: AdoptShimOperation,
  tasks: readonly FoundTask[],
): Promise<AdoptShimReply> {
  const lost = slot.shims.get(shimKey(operation));
  if (lost?.state === 'lost') {
    // Its tasks are told to be over, one by one.
    await lost.loss;
    return { tasks: [], forgetting: [], at: monotonicNow() };
  }
  const deadline = earlier(deadlineIn(slot.settings.deadlines.load), operation.deadline);
  let bootstrap: Bootstrap | undefined;
  let shim: Shim;
  try {
    bootstrap = await readBootstrap(operation.bundle);
    if (bootstrap === undefined) return await adoptDead(slot, operation, tasks, undefined);
    shim = await connect(slot, operation, bootstrap, deadline);
  } catch (error) {
    if (hasCode(error, 'UNAVAILABLE')) return adoptDead(slot, operation, tasks, bootstrap);
    slot.logger.warn('shim not adopted', { ...operation, reason: TaskError.from(error).message, tasks: tasks.length });
    const forgetting = [...new Forgetting(operation.bundle)];
    return { tasks: tasks.map((found) => silent(slot, found, error)), forgetting, at: monotonicNow() };
  }
  for (const { ref, bundle, processes } of tasks) {
    if (slot.tasks.has(taskKey(ref)) || !existsSync(bundle)) continue;
    shim.unadopted.set(
      ref.task,
      processes.map((record) => new TaskProcess(record)),
    );
  }
  const adopted = await Promise.all(
    tasks.map((found) => {
      const here = slot.tasks.get(taskKey(found.ref));
      if (here !== undefined) return reviewTask(slot, here, found, deadline);
      // One that cannot be taken over keeps none of its neighbours from it.
      return adoptTask(slot, shim, found, deadline).catch((error: unknown) => silent(slot, found, error));
    }),
  );
  if (isForOneTask(shim.mode) && shim.tasks.size === 0 && adopted.every((task) => task.kind === 'gone')) {
    await endShim(slot, shim);
    if (tasks.length === 0) await dropShimBundle(slot, operation);
    return { tasks: adopted, forgetting: [], at: monotonicNow() };
  }
  // Its sandbox is over when everything of it is ended.
  if (shim.mode === 'sandbox') await shim.loss;
  const answer = { tasks: adopted, forgetting: [...shim.forgetting], at: monotonicNow() };
  // Lost meanwhile it is told of as such, in an order that this would turn round.
  return shim.state === 'live' ? { shim: shim.info, ...answer } : answer;
}

/**
 * Takes over a shim from its bundle, within the load deadline. A shim that refuses, or never finished its start, is
 * dead: its tasks are ended and come back as gone. One that does not answer is left alone: a timeout is no death.
 */
export async function adoptShim(slot: WorkerSlot, operation: AdoptShimOperation): Promise<AdoptShimReply> {
  const key = shimKey(operation);
  const earlierOne = slot.adoptions.get(key)?.catch(() => undefined);
  // Two at once would connect twice, and each take over a part of it.
  const whole = Promise.resolve(earlierOne).then(() => adopt(slot, operation));
  slot.adoptions.set(key, whole);
  try {
    return await whole;
  } finally {
    if (slot.adoptions.get(key) === whole) slot.adoptions.delete(key);
  }
}
