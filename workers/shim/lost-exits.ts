import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, TaskError } from '../../src/shared/errors/index.ts';
import type { Exit } from '../../src/shared/messages/index.ts';
import { deadlineIn } from '../../src/shared/util/deadline.ts';
import { timestampNow } from '../../src/shared/wire/timestamp.ts';
import type { WorkerSlot } from '../slot.ts';
import type { Task, TaskProcess } from '../task.ts';
import { exitStatusOf, hasEnded, readProcStat, seesExitCodeOf } from './proc-stat.ts';
import type { Shim } from './shim.ts';
import { snapshotOf } from './snapshot.ts';

/** An exit is on its way for a moment: so long after its end a process is looked at again, in milliseconds. */
const grace = 500;

/** Heartbeats in which a shim has to call a process alive that is gone, before it is not believed any more. */
const believedDenials = 3;

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

/**
 * Finds the processes of a shim that have ended without its Wait saying so, and settles their exits: with what State
 * says; where the shim is late, with what the kernel says; and where it keeps calling a process alive that is gone, with
 * status 255. Costs one read of /proc for each process that runs, and one State for one whose pid is not of this host.
 */
export async function reconcileProcesses(slot: WorkerSlot, shim: Shim): Promise<void> {
  const ended: Suspect[] = [];
  const foreign: Suspect[] = [];
  for (const task of shim.tasks.values()) {
    for (const process of task.processes.values()) {
      if (!isWaitedFor(task, process)) continue;
      // A Wait that was refused for good is tried again.
      slot.exits.watch(task, process);
      const fate = fateOf(process);
      if (fate === undefined) foreign.push({ task, process });
      else if (fate.kind === 'alive') process.denials = 0;
      else ended.push({ task, process });
    }
  }
  // In turn: the pids of a virtual machine say nothing, and State costs the shim some work.
  const turn = foreign[Math.floor(Date.now() / slot.settings.heartbeat) % Math.max(1, foreign.length)];
  if (turn !== undefined && !shim.late) await askAbout(slot, turn);
  if (ended.length === 0) return;
  await delay(grace, undefined, { ref: false });
  await Promise.all(ended.map((suspect) => settle(slot, suspect)));
}

async function settle(slot: WorkerSlot, suspect: Suspect): Promise<void> {
  const { task, process } = suspect;
  if (!isWaitedFor(task, process)) return;
  const fate = fateOf(process);
  if (fate === undefined || fate.kind === 'alive') return;
  const { shim } = task;
  const answer = shim.late ? 'silent' : await askAbout(slot, suspect);
  if (!isWaitedFor(task, process) || answer === 'settled') return;
  const seen = fate.kind === 'zombie' ? fate.status : undefined;
  if (answer === 'silent') {
    // A shim that is silent still holds the zombie: how it ended can be read, and is told once.
    if (shim.late && seen !== undefined) tell(slot, suspect, { status: seen, seen: true });
    return;
  }
  process.denials += 1;
  if (process.denials < believedDenials) return;
  tell(slot, suspect, seen === undefined ? { status: unknownStatus, seen: false } : { status: seen, seen: true });
}

function tell(slot: WorkerSlot, { task, process }: Suspect, end: { status: number; seen: boolean }): void {
  const { status, seen } = end;
  const { pid, exec } = process;
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
    slot.exits.settle(task, process, exit, 'state');
    return 'settled';
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return 'denied';
    slot.logger.debug('state not known', { ...task.ref, exec: process.exec, reason: TaskError.from(error).message });
    return 'silent';
  }
}
