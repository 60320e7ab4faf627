import type { Envelope } from '../events/index.ts';
import type { EarlyThreads } from '../pool/index.ts';
import type { Namespace, SandboxId, ShimId, TaskId } from '../shared/identifiers.ts';
import type { Directories } from '../shared/layout.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { Deadlines, Mount, ProcessSnapshot, ShimAddress, ShimInfo, Stdio } from '../shared/messages/index.ts';
import type { Vitals } from '../shared/util/vitals.ts';
import type { Any } from '../shared/wire/any.ts';
import type { ExitStore } from '../store/exit-store.ts';
import type { SandboxExitStore } from '../store/sandbox-exit-store.ts';
import type { PlacementConfig } from './placement-config.ts';
import type { EventSink } from './recovered-events.ts';

export interface SupervisorOptions {
  readonly directories: Directories;
  /** Number of slots. */
  readonly workers: number;
  readonly deadlines: Deadlines;
  readonly placement: PlacementConfig;
  readonly exits: ExitStore;
  readonly sandboxExits: SandboxExitStore;
  readonly exchange: EventSink;
  /** What shims forward, also before this supervisor was there. Called once, as soon as the tasks are found. */
  readonly forwarded?: { deliverTo(receive: (envelope: Envelope) => void): void };
  readonly logger: Logger;
  /** Where shims publish events; has to be served before `open`. */
  readonly eventsAddress: string;
  readonly apiAddress: string;
  readonly publishBinary: string;
  readonly shimEnvironment: Readonly<Record<string, string>>;
  /** Where shims make their sockets, where they let themselves be told; in the state directory where absent. */
  readonly socketDirectory?: string | undefined;
  readonly debug: boolean;
  /** Milliseconds between two looks at each shim. */
  readonly heartbeat: number;
  /** Milliseconds after which a process that is gone has ended, whatever its shim says. */
  readonly lostExitAfter: number;
  readonly logLevel: string;
  /** What the threads load; the built worker entry where absent. */
  readonly entry?: URL | undefined;
  /** Threads that have begun to load; the rest is started by `open`. */
  readonly early?: EarlyThreads | undefined;
}

/** Limits of one call; the earlier of these and the configured deadline holds. */
export interface CallOptions {
  /** Milliseconds since 1970. */
  readonly deadline?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CreateRequest {
  /** A name such as `io.containerd.runc.v2`, or the absolute path of a shim. */
  readonly runtime: string;
  /** The OCI spec, JSON. */
  readonly spec: Uint8Array;
  readonly rootfs: readonly Mount[];
  readonly stdio: Stdio;
  readonly options?: Any | undefined;
  /** Directory of the checkpoint to restore from. */
  readonly checkpoint?: string | undefined;
  /** Archive of changes to put on the root file system before the start, where there is such a file. */
  readonly rootfsDiff?: string | undefined;
  readonly sandbox?: SandboxMembership | undefined;
}

/** The sandbox that a task says it belongs to. */
export interface SandboxMembership {
  readonly id: SandboxId;
  /** Its metadata is stored: then it has to run somewhere. */
  readonly isKnown: boolean;
  /** Where it runs, where the client says so. */
  readonly at?: ShimAddress | undefined;
}

/** What of a create's request is needed to make the task again. */
export interface Launch {
  readonly runtime: string;
  readonly rootfs: readonly Mount[];
  readonly stdio: Stdio;
  readonly options?: Any;
}

export interface ProcessView extends ProcessSnapshot {
  readonly namespace: Namespace;
  readonly task: TaskId;
  readonly runtime: string;
  readonly bundle: string;
  /** Undefined once the shim is gone. */
  readonly shim: ShimId | undefined;
}

export interface ShimView extends ShimInfo {
  readonly slot: number;
  readonly tasks: number;
  readonly state: string;
}

export interface SlotView {
  readonly id: number;
  readonly state: string;
  readonly shims: number;
  readonly tasks: number;
  /** In flight. */
  readonly operations: number;
  /** Threads lost so far. */
  readonly restarts: number;
  /** Undefined until its thread has told them. */
  readonly vitals: Vitals | undefined;
}
