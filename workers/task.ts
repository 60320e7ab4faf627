import type { ProcessRecord } from '../src/shared/bundle-records.ts';
import type { ExecId, TaskRef } from '../src/shared/identifiers.ts';
import type { Exit, LostExit, Stdio } from '../src/shared/messages/index.ts';
import { type Deferred, deferred } from '../src/shared/util/deferred.ts';
import type { Timestamp } from '../src/shared/wire/timestamp.ts';
import type { HostProcess } from './shim/host-process.ts';
import { hasEnded, readProcStat } from './shim/proc-stat.ts';
import type { Shim } from './shim/shim.ts';

/** Status of a process that nobody saw end: as if SIGKILL had ended it. */
const madeUpStatus = 137;

/** What is known of a process that has ended, as the kernel says, while its shim has not told it. */
export interface UntoldEnd {
  /** Since when the shim could have told it, by the monotonic clock, in milliseconds. */
  since: number;
  /** Times since then that the shim called it alive. */
  denials: number;
  /** The status with which it ended, where the kernel has shown it. */
  status: number | undefined;
}

/** One process of a task, as this thread knows it. */
export class TaskProcess {
  /** Undefined for init. */
  readonly exec: ExecId | undefined;
  /** As the client gave it, which is not always what the shim was given. */
  readonly stdio: Stdio;
  /** 0 until it is started. */
  pid: number;
  /** Resolves once with the exit that was seen. */
  readonly exited: Deferred<Exit> = deferred<Exit>();
  exit: Exit | undefined;
  /** Nobody saw `exit`: one that is seen after all replaces it. */
  madeUp = false;
  /** A Wait is open for it. */
  watched = false;
  /** Undefined where its pid is not known to be one of this host, as with a virtual machine's. */
  host: HostProcess | undefined;
  /** It has ended, and its shim has not told it yet, or has lost it. */
  untold: UntoldEnd | undefined;
  /** The shim has not answered Exec yet: it may know it, or not. */
  adding = false;
  /** A Start is under way, or failed: the shim must not be asked again. */
  start: 'none' | 'running' | 'failed' = 'none';
  /** Its start is a restore from a checkpoint: it has no pid before. */
  readonly restores: boolean;
  /** The shim has deleted it, with this exit; what is left to do is ours. */
  deleted: Exit | undefined;
  /** The delete under way; a second caller joins it. */
  deleting: Promise<Exit> | undefined;

  constructor(record: ProcessRecord) {
    this.exec = record.exec;
    this.stdio = record.stdio;
    this.pid = record.pid;
    this.restores = record.restores === true;
    if (record.startTime !== undefined) this.host = { pid: record.pid, startTime: record.startTime };
  }

  /** What is written down of it. */
  get record(): ProcessRecord {
    const { exec, pid, stdio, host, restores } = this;
    const known = host?.pid === pid ? { startTime: host.startTime } : {};
    return { exec, pid, stdio, ...known, ...(restores ? { restores } : {}) };
  }

  /**
   * Takes the pid that the shim answered. Only a child of the shim's is known to be a process of this host: other pids
   * may be those of a virtual machine, or of nothing.
   */
  identify(pid: number, shim: Shim): void {
    this.pid = pid;
    if (shim.process === undefined) return;
    const found = readProcStat(pid);
    if (found === undefined || hasEnded(found) || found.parent !== shim.process.pid) return;
    this.host = { pid, startTime: found.startTime };
  }
}

/**
 * creating: reserved, not in the shim yet, or being undone.
 * live: in the shim.
 * lost: its shim is gone and its remains are being removed.
 */
export type TaskState = 'creating' | 'live' | 'lost';

export class Task {
  readonly ref: TaskRef;
  readonly runtime: string;
  readonly bundle: string;
  readonly shim: Shim;
  readonly processes = new Map<ExecId | undefined, TaskProcess>();
  state: TaskState = 'live';
  /** It was sent SIGKILL from here: that explains how it ends. */
  killed = false;

  constructor(options: {
    readonly ref: TaskRef;
    readonly runtime: string;
    readonly bundle: string;
    readonly shim: Shim;
    readonly processes: readonly TaskProcess[];
  }) {
    this.ref = options.ref;
    this.runtime = options.runtime;
    this.bundle = options.bundle;
    this.shim = options.shim;
    for (const process of options.processes) this.processes.set(process.exec, process);
  }
}

/** Exits for the processes that ran and whose end nobody saw. */
export function madeUpExits(
  processes: Iterable<{ readonly exec?: ExecId | undefined; readonly pid: number; readonly exit?: Exit | undefined }>,
  at: Timestamp,
): LostExit[] {
  return [...processes]
    .filter((process) => process.pid > 0 && process.exit === undefined)
    .map(({ exec, pid }) => ({ exec, pid, status: madeUpStatus, exitedAt: at, source: 'made-up' as const }));
}
