import type { ExecId, ShimRef, TaskRef } from '../identifiers.ts';
import type { Vitals } from '../util/vitals.ts';
import type { Exit, ExitSource } from './process.ts';
import type { LostExit } from './reply.ts';
import type { SandboxExitReport } from './sandbox.ts';

/** A process ended. Can overtake the reply to the `start` that began it: the exit router restores the order. */
export interface ExitReport extends TaskRef, Exit {
  readonly kind: 'exit';
  readonly exec?: ExecId | undefined;
  readonly source: ExitSource;
}

/** A process that SIGKILL ended was not killed for want of memory: its exit need not wait for an event that says so. */
export interface OomRuledOutReport extends TaskRef {
  readonly kind: 'oom-ruled-out';
  readonly exec?: ExecId | undefined;
  readonly pid: number;
}

/** The connection to a shim closed or was refused. Followed by one `task-lost` for each of its tasks. */
export interface ShimLostReport extends ShimRef {
  readonly kind: 'shim-lost';
  readonly reason: string;
}

/** A task of a lost shim is over, and so are its processes. Its bundle is kept for `drop-bundle` to remove. */
export interface TaskLostReport extends TaskRef, ShimRef {
  readonly kind: 'task-lost';
  readonly exits: readonly LostExit[];
}

/** A shim was lost, and what it left is ended: each of its tasks was told by now, and a sandbox of it is over. */
export interface ShimOverReport extends ShimRef {
  readonly kind: 'shim-over';
}

/** A live shim does not answer, or does so again. A late one is not lost: its tasks run on. */
export interface ShimLateReport extends ShimRef {
  readonly kind: 'shim-late';
  readonly late: boolean;
}

/** A shim has let go of a task that was ended without it: the id can be used again. */
export interface TaskForgottenReport extends TaskRef {
  readonly kind: 'task-forgotten';
  /** By the monotonic clock, in milliseconds. */
  readonly at: number;
}

/** A log line of the slot; main writes it. */
export interface LogReport {
  readonly kind: 'log';
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** How the slot's thread is doing; every few seconds. */
export interface VitalsReport extends Vitals {
  readonly kind: 'vitals';
}

/** One message from a slot to the supervisor that nobody asked for. */
export type Report =
  | ExitReport
  | OomRuledOutReport
  | ShimLostReport
  | TaskLostReport
  | ShimLateReport
  | TaskForgottenReport
  | SandboxExitReport
  | ShimOverReport
  | VitalsReport
  | LogReport;
