import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, TaskError } from '../../src/shared/errors/index.ts';
import type { Exit } from '../../src/shared/messages/index.ts';
import { deadlineIn } from '../../src/shared/util/deadline.ts';
import { timestampNow } from '../../src/shared/wire/timestamp.ts';
import type { WorkerSlot } from '../slot.ts';
import type { Task, TaskProcess, UntoldEnd } from '../task.ts';
import { exitStatusOf, hasEnded, readProcStat, seesExitCodeOf } from './proc-stat.ts';
import type { Shim } from './shim.ts';
import { snapshotOf } from './snapshot.ts';
import { isHeldUp } from './watchdog.ts';

/** An exit is on its way for a moment: so long after its end a process is looked at again, in milliseconds. */
const grace = 500;

/** Looks in which a shim has to call a process alive that is gone, at least, before it is not believed any more. */
const believedDenials = 3;

/** A shim that needs longer for State than this is too busy to be held to what it says, in milliseconds. */
const prompt = 1000;

/** Status of a process that ended by itself and whose status nobody can know: containerd's own for that. */
const unknownStatus = 255;

/** Where a process of this host has got to; `zombie` has the status with which it ended, where that can be seen. */
type Fate =
  | { readonly kind: 'alive' }
  | { readonly kind: 'zombie'; readonly status?: number }
  | { readonly kind: 'gone' };

interface Suspect {
  readonly task: Task;
  readonly process: TaskProcess;
}

interface EndedSuspect extends Suspect {
  readonly untold: UntoldEnd;
}

function fateOf({ host }: TaskProcess): Fate | undefined {
  if (host === undefined) return undefined;
  const found = readProcStat(host.pid);
  if (found === undefined || found.startTime !== host.startTime) return { kind: 'gone' };
  if (!hasEnded(found)) return { kind: 'alive' };
  return seesExitCodeOf(host.pid) ? { kind: 'zombie', status: exitStatusOf(found.exitCode) } : { kind: 'zombie' };
}

/** False where the process has ended for certain, whoever says so. */
export function mayLive(process: TaskProcess): boolean {
  if (process.pid <= 0 || process.exit !== undefined) return false;
  const fate = fateOf(process);
  return fate === undefined || fate.kind === 'alive';
}

/** Its end is still to come, as far as this thread knows. */
function isWaitedFor(task: Task, process: TaskProcess): boolean {
  const { exit, pid, exec, start, deleted, deleting } = process;
  if (exit !== undefined || pid <= 0 || deleted !== undefined || deleting !== undefined) return false;
  return task.state === 'live' && (exec === undefined || start !== 'failed');
}

/** Notes that a process has ended, the first time that it is seen, and how, where the kernel shows it. */
function noteEnd(process: TaskProcess, fate: Exclude<Fate, { kind: 'alive' }>): UntoldEnd {
  process.untold ??= { since: performance.now(), denials: 0, status: undefined };
  if (fate.kind === 'zombie') process.untold.status ??= fate.status;
  return process.untold;
}

/** The shim could not tell it until now. */
function beginAnew(untold: UntoldEnd): void {
  untold.since = performance.now();
  untold.denials = 0;
}

/**
 * Finds the processes of a shim that have ended without its Wait saying so, and settles their exits: with what State
 * says; where the shim is late, with what the kernel says; and where the shim has lost it, with the status that the kernel
 * showed or 255. A shim tells exits one after the other, and can be far behind with them: it has lost one where it has
 * called that process alive for `lostExitAfter`, answered each time, waited for no runtime, and told no other exit
 * that was overdue. Costs one read of /proc for each process that runs, and one State for one whose pid is not of this host.
 */
export async function reconcileProcesses(slot: WorkerSlot, shim: Shim): Promise<void> {
  const ended: EndedSuspect[] = [];
  const foreign: Suspect[] = [];
  for (const task of shim.tasks.values()) {
    for (const process of task.processes.values()) {
      if (!isWaitedFor(task, process)) continue;
      // A Wait that was refused for good is tried again.
      slot.exits.watch(task, process);
      const fate = fateOf(process);
      if (fate === undefined) foreign.push({ task, process });
      else if (fate.kind === 'alive') process.untold = undefined;
      else ended.push({ task, process, untold: noteEnd(process, fate) });
    }
  }
  // In turn: the pids of a virtual machine say nothing, and State costs the shim some work.
  const turn = foreign[Math.floor(Date.now() / slot.settings.heartbeat) % Math.max(1, foreign.length)];
  if (turn !== undefined && !shim.late) await askAbout(slot, turn);
  if (ended.length === 0) return;
  await delay(grace, undefined, { ref: false });
  const denied = await Promise.all(ended.map(async (suspect) => ((await isDenied(slot, suspect)) ? [suspect] : [])));
  await giveUp(slot, shim, denied.flat());
}

/** True where the shim calls a process alive that has ended. */
async function isDenied(slot: WorkerSlot, suspect: EndedSuspect): Promise<boolean> {
  const { task, process, untold } = suspect;
  if (!isWaitedFor(task, process)) return false;
  const { shim } = task;
  const asked = performance.now();
  const answer = shim.late ? 'silent' : await askAbout(slot, suspect);
  if (!isWaitedFor(task, process) || answer === 'settled') return false;
  if (answer === 'denied' && performance.now() - asked < prompt) {
    untold.denials += 1;
    const { exec, pid } = process;
    slot.logger.debug('exit not told', { ...task.ref, exec, pid, denials: untold.denials });
    return true;
  }
  beginAnew(untold);
  // A shim that is silent still holds the zombie: how it ended can be read, and is told once.
  if (shim.late && untold.status !== undefined) tell(slot, suspect);
  return false;
}

/** Settles what the shim has lost. */
async function giveUp(slot: WorkerSlot, shim: Shim, denied: readonly EndedSuspect[]): Promise<void> {
  const believedUntil = ({ since }: UntoldEnd) => Math.max(since, shim.caughtUpAt) + slot.settings.lostExitAfter;
  const isLost = ({ task, process, untold }: EndedSuspect) =>
    untold.denials >= believedDenials && believedUntil(untold) <= performance.now() && isWaitedFor(task, process);
  if (denied.length === 0) return;
  // Looked at each time, as what held it up until just now is not to be seen at the end; not where it makes way.
  const makesWay = performance.now() - shim.caughtUpAt < slot.settings.heartbeat;
  if (!makesWay && (await isHeldUp(slot, shim))) {
    for (const { untold } of denied) beginAnew(untold);
    return;
  }
  for (const suspect of denied.filter(isLost)) {
    // Once more, as it may have been told while the others were looked at.
    if ((await askAbout(slot, suspect)) === 'denied' && isLost(suspect)) tell(slot, suspect);
  }
}

function tell(slot: WorkerSlot, { task, process, untold }: EndedSuspect): void {
  const { pid, exec } = process;
  const seen = untold.status !== undefined;
  const status = untold.status ?? unknownStatus;
  const why = task.shim.late ? 'its shim does not answer' : 'its shim says that it runs';
  slot.logger.warn('exit found without the shim', { ...task.ref, exec, pid, status, seen, why });
  const exit: Exit = { pid, status, exitedAt: timestampNow() };
  slot.exits.settle(task, process, exit, seen ? 'state' : 'made-up');
}

/**
 * Asks the shim for a process. `settled`: it ended, and that is told; `denied`: the shim says that it runs, or does
 * not know it; `silent`: there is no answer.
 */
async function askAbout(slot: WorkerSlot, { task, process }: Suspect): Promise<'settled' | 'denied' | 'silent'> {
  const deadline = deadlineIn(slot.settings.deadlines.state);
  try {
    const request = { id: task.ref.task, execId: process.exec ?? '' };
    const snapshot = snapshotOf(await task.shim.client.call((api) => api.state, request, { deadline }), process);
    if (snapshot.exit === undefined) return 'denied';
    if (!isWaitedFor(task, process)) return 'settled';
    const exit = { ...snapshot.exit, pid: process.pid };
    slot.logger.info('exit found by State', { ...task.ref, exec: process.exec, pid: exit.pid, status: exit.status });
    if (process.untold !== undefined) task.shim.caughtUpAt = performance.now();
    slot.exits.settle(task, process, exit, 'state');
    return 'settled';
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return 'denied';
    slot.logger.debug('state not known', { ...task.ref, exec: process.exec, reason: TaskError.from(error).message });
    return 'silent';
  }
}
