import type { ExecId } from '../identifiers.ts';
import type { Any } from '../wire/any.ts';
import type { Timestamp } from '../wire/timestamp.ts';

/** containerd's task status, by name. `unknown` is a task of which nothing is known yet. */
export type TaskStatus = 'unknown' | 'created' | 'running' | 'stopped' | 'paused' | 'pausing';

/** Where a process's stdio goes: paths of FIFOs, or URIs (`file://`, `binary://`); empty for nowhere. */
export interface Stdio {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** How a process ended. */
export interface Exit {
  readonly pid: number;
  /** 0–255; 128 + n where signal n ended it. */
  readonly status: number;
  readonly exitedAt: Timestamp;
}

/**
 * Who says that a process ended, from the most to the least trusted. `made-up` is the status of a process
 * whose shim is gone (137); it never replaces one that was seen.
 */
export type ExitSource = 'wait' | 'state' | 'event' | 'made-up';

/** What a shim says of one process of a task. */
export interface ProcessSnapshot {
  /** Absent for init. */
  readonly exec?: ExecId | undefined;
  readonly pid: number;
  readonly status: TaskStatus;
  readonly stdio: Stdio;
  /** Present where the status is `stopped` and the process ever ran. */
  readonly exit?: Exit | undefined;
}

/** A file system to mount at the bundle's `rootfs`, done by the shim. */
export interface Mount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/** A process of the host that belongs to a task; `info` is the runtime's own (runc: which exec it is). */
export interface ProcessInfo {
  readonly pid: number;
  readonly info?: Any | undefined;
}
