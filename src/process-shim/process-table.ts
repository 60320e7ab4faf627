import { readdirSync, readFileSync } from 'node:fs';

/** What `/proc/<pid>/stat` says of a process. Times are in clock ticks of 10 ms, memory in pages. */
export interface ProcessStat {
  readonly pid: number;
  readonly state: string;
  readonly parent: number;
  readonly session: number;
  readonly userTicks: number;
  readonly systemTicks: number;
  /** Of children that ended and were waited for. */
  readonly childUserTicks: number;
  readonly childSystemTicks: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly threads: number;
  /** Ticks since boot; with the pid it names a process for good. */
  readonly startTime: number;
  readonly residentPages: number;
}

/** Undefined where there is no such process. */
export function processStat(pid: number): ProcessStat | undefined {
  const text = readProc(pid, 'stat');
  if (text === undefined) return undefined;
  // The second field is the program's name in parentheses, and may hold any character.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3] ?? 0);
  return {
    pid,
    state: fields[0] ?? '?',
    parent: field(4),
    session: field(6),
    minorFaults: field(10),
    majorFaults: field(12),
    userTicks: field(14),
    systemTicks: field(15),
    childUserTicks: field(16),
    childSystemTicks: field(17),
    threads: field(20),
    startTime: field(22),
    residentPages: field(24),
  };
}

/** True while process `pid` with this start time runs; a zombie has ended. */
export function isAlive(pid: number, startTime: number): boolean {
  const stat = processStat(pid);
  return stat !== undefined && stat.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X';
}

export function allPids(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

/** Undefined where the process is gone or not ours to read. */
export function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return undefined;
  }
}
