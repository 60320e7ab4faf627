import type { MessagePort } from 'node:worker_threads';
import type { ExecId, Namespace, ProcessRef, ShimRef, TaskRef } from '../identifiers.ts';
import type { Directories } from '../layout.ts';
import type { Any } from '../wire/any.ts';
import type { Mount, Stdio } from './process.ts';
import type { SandboxOperation } from './sandbox.ts';
import type { PlacementMode, ShimChoice, ShimStart } from './shim.ts';
import type { ReadShimLogOperation } from './shim-log.ts';

/** Budgets in milliseconds; docs/architecture.md, "Deadlines". */
export interface Deadlines {
  /** Loading one shim at adoption, the dial included. */
  readonly load: number;
  /** One run of the `delete` action, or one removal of what a shim left. */
  readonly cleanup: number;
  readonly shutdown: number;
  /** `State` while listing. */
  readonly state: number;
  readonly metrics: number;
  /** The `start` action. */
  readonly start: number;
  /** Any other call. */
  readonly call: number;
}

/** What every slot has to know; sent with `attach`, the same for the life of the daemon. */
export interface WorkerSettings {
  readonly slot: number;
  readonly directories: Directories;
  /** Where shims publish events: the path of the ttrpc endpoint. Becomes TTRPC_ADDRESS. */
  readonly eventsAddress: string;
  /** Where the daemon serves gRPC; becomes GRPC_ADDRESS and `-address`. */
  readonly apiAddress: string;
  /** An executable that accepts `publish`, for `-publish-binary`. */
  readonly publishBinary: string;
  /** Added to the environment of every shim. */
  readonly shimEnvironment: Readonly<Record<string, string>>;
  /** Where shims that let themselves be told (2.3 and later) make their sockets; `.s` in the state directory where absent. */
  readonly socketDirectory?: string | undefined;
  /** Shims are started with `-debug`. */
  readonly debug: boolean;
  readonly deadlines: Deadlines;
  /** Milliseconds between two looks at each shim and its processes. */
  readonly heartbeat: number;
  /**
   * Milliseconds for which a shim has to call a process alive that is gone, without being held up or telling other exits
   * that it was behind with, before the process counts as ended all the same.
   */
  readonly lostExitAfter: number;
  /** Lowest level of the log lines that the slot sends to main. */
  readonly logLevel: string;
}

interface Timed {
  /** When the supervisor gives up, in milliseconds since 1970. Never sent to the shim with Create, Start, Exec or Delete. */
  readonly deadline: number;
}

/** The first operation of every thread: it serves nothing before. Reports leave through `port`, and an `Order` comes in. */
export interface AttachOperation extends Timed {
  readonly kind: 'attach';
  readonly port: MessagePort;
  readonly settings: WorkerSettings;
}

/** Runs the binary with `-v`. */
export interface ProbeBinaryOperation extends Timed {
  readonly kind: 'probe-binary';
  readonly binary: string;
}

/** Runs the binary with `-info`. */
export interface RuntimeInfoOperation extends Timed {
  readonly kind: 'runtime-info';
  readonly binary: string;
  readonly options?: Any | undefined;
}

/** Starts a shared shim in a bundle of its own under `.shims/`. */
export interface StartShimOperation extends Timed {
  readonly kind: 'start-shim';
  readonly namespace: Namespace;
  readonly start: ShimStart;
}

/**
 * Takes over a shim that may run, from its bundle, with the tasks that name it. What cannot be reached any more
 * is ended there and then: its tasks come back as `gone`.
 */
export interface AdoptShimOperation extends Timed, ShimRef {
  readonly kind: 'adopt-shim';
  readonly mode: PlacementMode;
  /** Directory with `bootstrap.json` (or an older `address`). */
  readonly bundle: string;
  readonly tasks: readonly TaskRef[];
}

/**
 * Asks a shim without tasks to end, and removes what it leaves. Refused (FAILED_PRECONDITION) while it has a task. One that
 * does not answer is killed, also where it never answered this slot.
 */
export interface StopShimOperation extends Timed, ShimRef {
  readonly kind: 'stop-shim';
  readonly bundle: string;
}

/** Prepares the bundle, starts the shim where it is the task's own, and creates the task. All or nothing. */
export interface CreateTaskOperation extends Timed, TaskRef {
  readonly kind: 'create-task';
  readonly choice: ShimChoice;
  /** The OCI spec as JSON text, passed on unread. */
  readonly spec: Uint8Array;
  readonly rootfs: readonly Mount[];
  readonly stdio: Stdio;
  /** Runtime options of this task. */
  readonly options?: Any | undefined;
  /** Image path to restore from; empty for a fresh start. */
  readonly checkpoint: string;
  /** Archive of changes to put on the root file system once it is mounted, where there is such a file. */
  readonly rootfsDiff?: string | undefined;
  /** Name of the runtime as the client wrote it, kept in the bundle for adoption. */
  readonly runtime: string;
}

export interface StartOperation extends Timed, ProcessRef {
  readonly kind: 'start';
}

export interface ExecOperation extends Timed, TaskRef {
  readonly kind: 'exec';
  readonly exec: ExecId;
  readonly stdio: Stdio;
  /** The OCI process as it came: an `Any` of JSON. */
  readonly spec: Any;
}

export interface KillOperation extends Timed, ProcessRef {
  readonly kind: 'kill';
  readonly signal: number;
  readonly all: boolean;
}

/** Deletes a stopped process. For init the bundle goes too, and its shim where it was the task's own. */
export interface DeleteOperation extends Timed, ProcessRef {
  readonly kind: 'delete';
}

/** Ends a task whatever its state: kills its own shim or the task in a shared one, and cleans up like after a dead shim. */
export interface DestroyTaskOperation extends Timed, TaskRef {
  readonly kind: 'destroy-task';
  /** For `drop-bundle` to remove, where somebody is to be told how the task ended; default false. */
  readonly keepBundle?: boolean | undefined;
}

/**
 * Removes the bundle of a task whose shim is gone, after its exits are stored: it is all that tells of them before that.
 * Whoever asks keeps the id from being used again meanwhile.
 */
export interface DropBundleOperation extends Timed, TaskRef {
  readonly kind: 'drop-bundle';
}

/** Removes the work directory of a task that has no bundle any more, unless something is mounted in it. */
export interface RemoveWorkOperation extends Timed, TaskRef {
  readonly kind: 'remove-work';
}

export interface StateOperation extends Timed, ProcessRef {
  readonly kind: 'state';
}

export interface PidsOperation extends Timed, TaskRef {
  readonly kind: 'pids';
}

export interface PauseOperation extends Timed, TaskRef {
  readonly kind: 'pause';
}

export interface ResumeOperation extends Timed, TaskRef {
  readonly kind: 'resume';
}

export interface UpdateOperation extends Timed, TaskRef {
  readonly kind: 'update';
  readonly resources: Any;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface StatsOperation extends Timed, TaskRef {
  readonly kind: 'stats';
}

export interface CheckpointOperation extends Timed, TaskRef {
  readonly kind: 'checkpoint';
  readonly path: string;
  readonly options?: Any | undefined;
}

export interface ResizeOperation extends Timed, ProcessRef {
  readonly kind: 'resize';
  readonly width: number;
  readonly height: number;
}

export interface CloseIoOperation extends Timed, ProcessRef {
  readonly kind: 'close-io';
  readonly stdin: boolean;
}

/** One request from the supervisor to a slot. */
export type Operation =
  | AttachOperation
  | ProbeBinaryOperation
  | RuntimeInfoOperation
  | StartShimOperation
  | AdoptShimOperation
  | StopShimOperation
  | ReadShimLogOperation
  | CreateTaskOperation
  | StartOperation
  | ExecOperation
  | KillOperation
  | DeleteOperation
  | DestroyTaskOperation
  | DropBundleOperation
  | RemoveWorkOperation
  | StateOperation
  | PidsOperation
  | PauseOperation
  | ResumeOperation
  | UpdateOperation
  | StatsOperation
  | CheckpointOperation
  | ResizeOperation
  | CloseIoOperation
  | SandboxOperation;

export type OperationKind = Operation['kind'];
export type OperationOf<K extends OperationKind> = Extract<Operation, { readonly kind: K }>;
