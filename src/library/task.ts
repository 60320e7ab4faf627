import type { Readable, Writable } from 'node:stream';

/** How a process ended. */
export interface Exit {
  readonly pid: number;
  /** 0 to 255; 128 + n where signal n ended it. */
  readonly status: number;
  readonly exitedAt: Date;
}

export type TaskStatus = 'unknown' | 'created' | 'running' | 'stopped' | 'paused' | 'pausing';

/** What is known of a process. */
export interface ProcessInfo {
  /** The task's. */
  readonly id: string;
  /** Absent for the task's own process. */
  readonly exec?: string;
  readonly status: TaskStatus;
  readonly pid: number;
  /** Present where the status is `stopped` and the process ever ran. */
  readonly exit?: Exit;
  readonly runtime: string;
  /** Directory of the task's OCI bundle. */
  readonly bundle: string;
}

/** The ends of a process's stdio that are this program's. Those that were not piped have ended already. */
export interface Streams {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/** A task that was created: its program runs once it is started. */
export interface CreatedTask extends Streams {
  readonly id: string;
  readonly pid: number;
}

/** A further process of a task, running. */
export interface RunningExec extends Streams {
  /** The exec's. */
  readonly id: string;
  readonly pid: number;
}
