import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';

/** What /proc/PID/stat says of a process. */
export interface ProcStat {
  /** A letter: `R`, `S`, … ; `Z` and `X` have ended. */
  readonly state: string;
  readonly parent: number;
  /** Of a zombie more than 1 where only its first thread has ended. */
  readonly threads: number;
  /** In clock ticks since boot: with the pid, the identity of a process. */
  readonly startTime: number;
  /** The wait status of a zombie; 0 too where the kernel does not let us see it, so ask `seesExitCodes` first. */
  readonly exitCode: number;
}

/** Parses /proc/PID/stat. Pure. */
export function parseProcStat(text: string): ProcStat | undefined {
  // The name in parentheses may hold spaces and parentheses: count from its end.
  const end = text.lastIndexOf(')');
  if (end < 0) return undefined;
  const fields = text.slice(end + 2).split(' ');
  const state = fields[0];
  const parent = Number(fields[1]);
  const threads = Number(fields[17]);
  const startTime = Number(fields[19]);
  const exitCode = Number(fields[49] ?? 0);
  if (state === undefined || !Number.isFinite(parent) || !Number.isFinite(startTime)) return undefined;
  return { state, parent, threads, startTime, exitCode: Number.isFinite(exitCode) ? exitCode : 0 };
}

/** Fifty numbers and a name of at most 64 bytes. One read gives all of it. */
const room = Buffer.alloc(2048);

/** Undefined where there is no such process. Synchronous: some 15 µs, less than a turn of the thread pool. */
export function readProcStat(pid: number): ProcStat | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  try {
    const fd = openSync(`/proc/${pid}/stat`, 'r');
    try {
      return parseProcStat(room.toString('latin1', 0, readSync(fd, room, 0, room.length, 0)));
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

/** A process whose first thread has ended looks like a zombie while the others run on. */
export const hasEnded = ({ state, threads }: ProcStat): boolean => (state === 'Z' || state === 'X') && !(threads > 1);

/** The status that a shell, and a shim, make of a wait status. Pure. */
export function exitStatusOf(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal;
}

const capSysPtrace = 19n;
let mayTrace: boolean | undefined;

function maySeeAll(): boolean {
  if (mayTrace === undefined) {
    try {
      const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
      mayTrace = ((BigInt(`0x${mask}`) >> capSysPtrace) & 1n) === 1n;
    } catch {
      mayTrace = false;
    }
  }
  return mayTrace;
}

/** True where the kernel shows us the process's exit code, and not 0 in its place. */
export function seesExitCodeOf(pid: number): boolean {
  if (maySeeAll()) return true;
  const self = process.geteuid?.() ?? 0;
  try {
    return self !== 0 && statSync(`/proc/${pid}`).uid === self;
  } catch {
    return false;
  }
}
