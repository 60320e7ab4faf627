import { uptime } from 'node:os';
import { hasCode, TaskError } from '../../src/shared/errors/index.ts';
import type { TaskId } from '../../src/shared/identifiers.ts';
import type { WorkerSlot } from '../slot.ts';
import { childrenByParent, commandLine, type HostProcess, killProcess, sharesMounts, treeOf } from './host-process.ts';
import type { Shim } from './shim.ts';

/** /proc counts in hundredths of a second, on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** What a runc, or who takes its place, is run for. */
const commands = new Set(['create', 'start', 'exec', 'kill', 'delete', 'pause', 'resume', 'update', 'state', 'ps']);

/** These may take their time, and are never ended. */
const longCommands = new Set(['checkpoint', 'restore']);

/** A runtime that has run for so long holds up its shim, in milliseconds. */
const longRun = 1000;

interface RuntimeChild {
  readonly process: HostProcess;
  readonly command: string;
  /** Milliseconds since it was started. */
  readonly age: number;
}

/** `<runtime> --root DIR --log FILE … COMMAND … ID …`, behind an interpreter where it is a script. Pure. */
export function runtimeCommand(args: readonly string[]): string | undefined {
  const root = args.indexOf('--root');
  if (root < 1 || root > 3) return undefined;
  return args.slice(root + 2).find((word) => commands.has(word) || longCommands.has(word));
}

/** The runtimes that a shim waits for. Never a process of a task, whatever it is called. */
async function runtimeChildren(shim: Shim, task: TaskId | undefined): Promise<RuntimeChild[]> {
  const shimPid = shim.process?.pid;
  if (shimPid === undefined) return [];
  const tasks = new Set(
    [...shim.tasks.values()].flatMap(({ processes }) => [...processes.values()].map(({ pid }) => pid)),
  );
  const now = uptime();
  const children = (await childrenByParent()).get(shimPid) ?? [];
  const found = await Promise.all(
    children.map(async (process): Promise<RuntimeChild | undefined> => {
      if (tasks.has(process.pid)) return undefined;
      const args = await commandLine(process.pid);
      const command = runtimeCommand(args);
      if (command === undefined || (task !== undefined && !args.includes(task))) return undefined;
      if (!(await sharesMounts(process.pid, shimPid))) return undefined;
      return { process, command, age: (now - process.startTime / ticksPerSecond) * 1000 };
    }),
  );
  return found.filter((child) => child !== undefined);
}

/**
 * Ends the runtimes that have kept a shim busy for longer than any call may take, with all that they have started, by
 * pid and start time. Answers whether there was one, and how long until the next may be due.
 */
export async function endStuckRuntimes(
  slot: WorkerSlot,
  shim: Shim,
  which: { readonly task?: TaskId | undefined; readonly olderThan?: number | undefined } = {},
  /** Told before each kill. */
  onKill: () => void = () => undefined,
): Promise<{ readonly ended: number; readonly nextIn: number | undefined }> {
  const limit = which.olderThan ?? slot.settings.deadlines.call;
  let ended = 0;
  let nextIn: number | undefined;
  for (const { process, command, age } of await runtimeChildren(shim, which.task)) {
    if (longCommands.has(command)) continue;
    if (age < limit) {
      nextIn = Math.min(nextIn ?? limit, limit - age);
      continue;
    }
    // What it has started goes first out of sight otherwise: to the shim, which reaps children.
    const tree = treeOf(process, await childrenByParent());
    onKill();
    for (const member of tree) await killProcess(member);
    slot.logger.warn('stuck runtime killed', {
      ...shim.ref,
      ...(which.task === undefined ? {} : { task: which.task }),
      command,
      pid: process.pid,
      age: Math.round(age),
      processes: tree.length,
    });
    ended += 1;
  }
  return { ended, nextIn };
}

/** True where a shim waits for a runtime: it may tell no exit before that has ended. One that has hung too long is ended. */
export async function isHeldUp(slot: WorkerSlot, shim: Shim): Promise<boolean> {
  const { ended } = await endStuckRuntimes(slot, shim);
  return ended > 0 || (await runtimeChildren(shim, undefined)).some(({ age }) => age >= longRun);
}

/**
 * Makes a call for which the shim runs a runtime, and ends that runtime when it takes longer than a call may: it would
 * hold up the shim's other tasks. The watch goes on where only the caller's patience has ended.
 */
export async function underWatch<T>(
  slot: WorkerSlot,
  shim: Shim,
  task: TaskId,
  call: () => Promise<T>,
  onKill: () => void = () => undefined,
): Promise<T> {
  const { deadlines } = slot.settings;
  const began = performance.now();
  let answered = false;
  let abandoned = false;
  let timer = setTimeout(look, deadlines.call);
  function look(): void {
    endThem().catch((error: unknown) => {
      slot.logger.warn('stuck runtimes not looked for', { ...shim.ref, reason: TaskError.from(error).message });
    });
  }
  async function endThem(): Promise<void> {
    const { ended, nextIn } = await endStuckRuntimes(slot, shim, { task }, onKill);
    // Behind a lock of the shim's, a runtime may begin late; and what is killed may be tried again.
    const again = nextIn ?? (abandoned && ended === 0 ? undefined : deadlines.call);
    if (again !== undefined && !answered && shim.state === 'live') timer = setTimeout(look, again + 10);
  }
  try {
    return await call();
  } catch (error) {
    abandoned = hasCode(error, 'DEADLINE_EXCEEDED');
    throw error;
  } finally {
    answered = !abandoned;
    // Its exits may have waited behind this one.
    if (performance.now() - began >= longRun) shim.caughtUpAt = performance.now();
    if (answered) clearTimeout(timer);
  }
}
