import type { TransferredError } from '../errors/index.ts';
import type { ExecId, TaskId, TaskRef } from '../identifiers.ts';
import type { Any } from '../wire/any.ts';
import type { OperationKind } from './operation.ts';
import type { Exit, ExitSource, ProcessInfo, ProcessSnapshot } from './process.ts';
import type { AdoptSandboxReply, Platform, SandboxMetric, SandboxStatus, StartSandboxReply } from './sandbox.ts';
import type { BinaryFacts, ShimInfo } from './shim.ts';
import type { ShimLogPart } from './shim-log.ts';

/** `containerd.types.RuntimeInfo`, as the shim's `-info` action printed it. */
export interface RuntimeInfo {
  readonly name: string;
  readonly version: string;
  readonly revision: string;
  readonly options?: Any | undefined;
  readonly features?: Any | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What adoption found of one task. */
export type AdoptedTask = TaskRef &
  (
    | {
        readonly kind: 'live';
        readonly runtime: string;
        /** Init first, then the execs that the shim still knows. */
        readonly processes: readonly ProcessSnapshot[];
      }
    /**
     * The shim is gone, or does not know the task: its processes are ended. Its bundle is kept where there are exits, for
     * `drop-bundle` to remove; where there are none, nothing of it is left.
     */
    | { readonly kind: 'gone'; readonly exits: readonly LostExit[] }
    /** The shim is there but did not answer in time: nothing is known, nothing was touched. */
    | { readonly kind: 'silent'; readonly runtime: string; readonly reason: string }
  );

/** The end of a process whose shim is gone. */
export interface LostExit extends Exit {
  readonly exec?: ExecId | undefined;
  readonly source: ExitSource;
}

export interface AdoptShimReply {
  /** Absent where nothing answers at its address any more. */
  readonly shim?: ShimInfo | undefined;
  readonly tasks: readonly AdoptedTask[];
  /** Tasks that were ended without it, which it may still act on: their ids cannot be used yet. */
  readonly forgetting: readonly TaskId[];
  /** When that was so, by the monotonic clock, in milliseconds: a `task-forgotten` may overtake this. */
  readonly at: number;
}

export interface CreateTaskReply {
  readonly pid: number;
  readonly shim: ShimInfo;
}

export interface DestroyTaskReply {
  /**
   * The shim did not answer and lives on, for the sake of other tasks: it must get no new ones, and may still act on this
   * one, whose id cannot be used before a `task-forgotten`. When that was so, by the monotonic clock, in milliseconds.
   */
  readonly condemnedAt?: number | undefined;
  readonly exits: readonly LostExit[];
}

/** What each operation answers. */
export interface ReplyByKind {
  attach: { readonly threadId: number };
  'probe-binary': BinaryFacts;
  'runtime-info': RuntimeInfo;
  'start-shim': ShimInfo;
  'adopt-shim': AdoptShimReply;
  'stop-shim': { readonly stopped: true };
  'read-shim-log': ShimLogPart;
  'create-task': CreateTaskReply;
  start: { readonly pid: number };
  exec: { readonly added: true };
  kill: { readonly sent: true };
  delete: Exit;
  'destroy-task': DestroyTaskReply;
  'drop-bundle': { readonly removed: true };
  'remove-work': { readonly removed: true };
  state: ProcessSnapshot;
  pids: { readonly processes: readonly ProcessInfo[] };
  pause: { readonly paused: true };
  resume: { readonly resumed: true };
  update: { readonly updated: true };
  stats: { readonly stats: Any };
  checkpoint: { readonly written: true };
  resize: { readonly resized: true };
  'close-io': { readonly closed: true };
  'create-sandbox': ShimInfo;
  'start-sandbox': StartSandboxReply;
  'stop-sandbox': { readonly stopped: true };
  'shutdown-sandbox': { readonly ended: true };
  'adopt-sandbox': AdoptSandboxReply;
  'drop-sandbox': { readonly removed: true };
  'sandbox-status': SandboxStatus;
  'sandbox-platform': Platform;
  'sandbox-metrics': SandboxMetric;
}

export type ReplyOf<K extends OperationKind> = ReplyByKind[K];

/** A reply as it crosses threads; an error crosses encoded, because a thrown one would lose its code. */
export type Outcome<K extends OperationKind> =
  | { readonly ok: true; readonly reply: ReplyOf<K> }
  | { readonly ok: false; readonly error: TransferredError };
