import { readlinkSync, statSync } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { shareNext } from '../../src/shared/util/share-next.ts';
import { hasEnded, type ProcStat, parseProcStat, readProcStat } from './proc-stat.ts';

/** A process that cannot be mistaken for a later one with the same pid. */
export interface HostProcess {
  readonly pid: number;
  /** In clock ticks since boot, from /proc/PID/stat. */
  readonly startTime: number;
}

async function readOr<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch {
    return undefined;
  }
}

async function procStat(pid: number): Promise<ProcStat | undefined> {
  const text = await readOr(readFile(`/proc/${pid}/stat`, 'latin1'));
  return text === undefined ? undefined : parseProcStat(text);
}

/**
 * Identifies a process by pid; undefined where there is none, or a zombie only. Read at once: a file of /proc is five turns of the
 * thread pool otherwise, each of which takes longer than all of it.
 */
export async function identifyProcess(pid: number): Promise<HostProcess | undefined> {
  const found = readProcStat(pid);
  return found === undefined || hasEnded(found) ? undefined : { pid, startTime: found.startTime };
}

export async function isAlive(process: HostProcess): Promise<boolean> {
  return (await identifyProcess(process.pid))?.startTime === process.startTime;
}

/** Sends SIGKILL to exactly this process; nothing where it is gone already. */
export async function killProcess(target: HostProcess): Promise<void> {
  if (!(await isAlive(target))) return;
  try {
    process.kill(target.pid, 'SIGKILL');
  } catch {
    // It went in between.
  }
}

/** Resolves to true when the process is gone, to false at `deadline` (milliseconds since 1970). */
export async function untilGone(target: HostProcess, deadline: number): Promise<boolean> {
  // The process is nobody's child here: the kernel tells nothing, so it is looked at, less and less often.
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    if (!(await isAlive(target))) return true;
    if (Date.now() >= deadline) return false;
    await delay(Math.min(pause, Math.max(1, deadline - Date.now())));
  }
}

/**
 * True where a process works in a directory of that very name. Nothing but that directory is touched, which is ours: another may be on a
 * file system that hangs.
 */
function worksInNamed(pid: number, directory: string): boolean {
  try {
    const link = `/proc/${pid}/cwd`;
    if (readlinkSync(link) !== directory) return false;
    const [at, wanted] = [statSync(link), statSync(directory)];
    return at.ino === wanted.ino && at.dev === wanted.dev;
  } catch {
    return false;
  }
}

/** True where a process works in a directory, by whatever name; a shim does in the bundle that it was started for. */
export async function worksIn(pid: number, directory: string): Promise<boolean> {
  return worksInNamed(pid, directory) || isIn(pid, directory);
}

async function isIn(pid: number, directory: string): Promise<boolean> {
  const [at, wanted] = await Promise.all([readOr(stat(`/proc/${pid}/cwd`)), readOr(stat(directory))]);
  return at !== undefined && wanted !== undefined && at.ino === wanted.ino && at.dev === wanted.dev;
}

/** Arguments of a process; empty where it is gone. */
export async function commandLine(pid: number): Promise<string[]> {
  const text = await readOr(readFile(`/proc/${pid}/cmdline`, 'utf8'));
  return text === undefined ? [] : text.split('\0').slice(0, -1);
}

/**
 * True where a process's arguments are those of the program `wanted`, and not of a runtime's init that waits to become
 * it. The kernel puts an interpreter, and at most one argument for it, before a script. Pure.
 */
export function runsProgram(args: readonly string[], wanted: readonly string[]): boolean {
  const before = args.length - wanted.length;
  const [program, ...rest] = args.slice(before);
  const same = path.basename(program ?? '') === path.basename(wanted[0] ?? '');
  return (
    wanted.length > 0 && before >= 0 && before <= 2 && same && rest.every((arg, index) => arg === wanted[index + 1])
  );
}

async function allPids(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

/**
 * The children of each process of the host, those that have ended left out. A look takes the longer the more processes there are, so
 * all who ask during one share the next.
 */
export const childrenByParent: () => Promise<ReadonlyMap<number, readonly HostProcess[]>> = shareNext(lookForChildren);

async function lookForChildren(): Promise<ReadonlyMap<number, readonly HostProcess[]>> {
  const children = new Map<number, HostProcess[]>();
  await Promise.all(
    (await allPids()).map(async (pid) => {
      const found = await procStat(pid);
      if (found === undefined || hasEnded(found)) return;
      const siblings = children.get(found.parent) ?? [];
      siblings.push({ pid, startTime: found.startTime });
      children.set(found.parent, siblings);
    }),
  );
  return children;
}

/** Everything that comes from a process, itself first. Pure. */
export function treeOf(
  top: HostProcess,
  children: ReadonlyMap<number, readonly HostProcess[]>,
): readonly HostProcess[] {
  const tree = [top];
  for (const process of tree) tree.push(...(children.get(process.pid) ?? []));
  return tree;
}

/** True where both processes see the same file systems: false for a container's own. */
export async function sharesMounts(pid: number, other: number): Promise<boolean> {
  const [one, two] = await Promise.all([pid, other].map((id) => readOr(readlink(`/proc/${id}/ns/mnt`))));
  return one !== undefined && one === two;
}

/** A shim's command line names its binary, behind an interpreter where it is a script, or has a shim's flags. */
function isShim(args: readonly string[], binary: string): boolean {
  const named = args.slice(0, 3).some((arg) => path.basename(arg) === path.basename(binary));
  return named || (args.includes('-namespace') && args.includes('-id'));
}

/**
 * The processes of `binary` that work in `directory`: the shims, finished or half started, of one bundle. All of the host's are looked at,
 * so in other threads.
 */
export async function processesOf(binary: string, directory: string): Promise<HostProcess[]> {
  const pids = await allPids();
  const found = await Promise.all(
    pids.map(async (pid) => {
      if (!(await isIn(pid, directory))) return undefined;
      return isShim(await commandLine(pid), binary) ? identifyProcess(pid) : undefined;
    }),
  );
  return found.filter((process) => process !== undefined);
}

/** Paths of the unix sockets that a process holds. */
export async function socketPathsOf(pid: number): Promise<string[]> {
  const links = (await readOr(readdir(`/proc/${pid}/fd`))) ?? [];
  const inodes = new Set<string>();
  for (const link of links) {
    const target = await readOr(readlink(`/proc/${pid}/fd/${link}`));
    const inode = /^socket:\[(\d+)\]$/.exec(target ?? '')?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const table = (await readOr(readFile('/proc/net/unix', 'utf8'))) ?? '';
  const paths = new Set<string>();
  for (const line of table.split('\n')) {
    const [, , , , , , inode, socket] = line.trim().split(/\s+/);
    if (inode !== undefined && socket?.startsWith('/') && inodes.has(inode)) paths.add(socket);
  }
  return [...paths];
}
