import type { SandboxRef } from '../identifiers.ts';
import type { Any } from '../wire/any.ts';
import type { Timestamp } from '../wire/timestamp.ts';
import type { Mount } from './process.ts';
import type { ShimStart } from './shim.ts';

/** How a sandbox ended. */
export interface SandboxExit {
  readonly status: number;
  readonly exitedAt: Timestamp;
}

/** What a shim says of a sandbox. Shims may leave out what they do not care for, up to everything. */
export interface SandboxStatus {
  /** 0 where the sandbox has no process of its own. */
  readonly pid: number;
  /** The shim's own word, such as `SANDBOX_READY`; may be empty. */
  readonly state: string;
  readonly info: Readonly<Record<string, string>>;
  readonly createdAt?: Timestamp | undefined;
  readonly exitedAt?: Timestamp | undefined;
  readonly extra?: Any | undefined;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
}

export interface SandboxMetric {
  readonly timestamp?: Timestamp | undefined;
  readonly id: string;
  readonly metrics?: Any | undefined;
}

/**
 * How far a sandbox had come, as its bundle says.
 *
 * - `creating`: CreateSandbox may have been sent. Nobody was told of the sandbox.
 * - `created`: CreateSandbox was answered.
 * - `starting`: StartSandbox may have been sent.
 * - `started`: StartSandbox was answered.
 */
export type SandboxPhase = 'creating' | 'created' | 'starting' | 'started';

interface Timed {
  /** When the supervisor gives up, in milliseconds since 1970. Never sent to the shim. */
  readonly deadline: number;
}

/** Prepares the sandbox's bundle, starts its shim and creates the sandbox in it. All or nothing. */
export interface CreateSandboxOperation extends Timed, SandboxRef {
  readonly kind: 'create-sandbox';
  readonly start: ShimStart;
  /** Name of the runtime as the client wrote it, kept in the bundle. */
  readonly runtime: string;
  /** The OCI spec as JSON text; `{}` where the sandbox has none. */
  readonly spec: Uint8Array;
  readonly rootfs: readonly Mount[];
  readonly options?: Any | undefined;
  readonly netnsPath: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Starts a created sandbox, and waits for its end from then on. */
export interface StartSandboxOperation extends Timed, SandboxRef {
  readonly kind: 'start-sandbox';
}

/** Has the shim stop the sandbox. Its workloads are ended before: some shims go at once and leave them behind. */
export interface StopSandboxOperation extends Timed, SandboxRef {
  readonly kind: 'stop-sandbox';
  /** What the shim is told, in whole seconds. */
  readonly timeoutSeconds: number;
}

/**
 * Ends the sandbox's shim and removes its bundle, whatever state they are in; a shim that does not answer is killed.
 * Refused (FAILED_PRECONDITION) while a task is in it.
 */
export interface ShutdownSandboxOperation extends Timed, SandboxRef {
  readonly kind: 'shutdown-sandbox';
}

/** Removes the bundle of a sandbox whose shim is gone, after its exit is stored; as `drop-bundle` does for a task. */
export interface DropSandboxOperation extends Timed, SandboxRef {
  readonly kind: 'drop-sandbox';
}

/** After the adoption of its shim: asks how the sandbox is, and waits for its end again where it was started. */
export interface AdoptSandboxOperation extends Timed, SandboxRef {
  readonly kind: 'adopt-sandbox';
}

export interface SandboxStatusOperation extends Timed, SandboxRef {
  readonly kind: 'sandbox-status';
  readonly verbose: boolean;
}

export interface SandboxPlatformOperation extends Timed, SandboxRef {
  readonly kind: 'sandbox-platform';
}

export interface SandboxMetricsOperation extends Timed, SandboxRef {
  readonly kind: 'sandbox-metrics';
}

export type SandboxOperation =
  | CreateSandboxOperation
  | StartSandboxOperation
  | StopSandboxOperation
  | ShutdownSandboxOperation
  | AdoptSandboxOperation
  | DropSandboxOperation
  | SandboxStatusOperation
  | SandboxPlatformOperation
  | SandboxMetricsOperation;

export interface StartSandboxReply {
  /** 0 where the sandbox has no process of its own. */
  readonly pid: number;
  readonly createdAt: Timestamp;
  /** What the shim made of the spec, where it says so. */
  readonly spec?: Any | undefined;
}

export interface AdoptSandboxReply {
  readonly phase: SandboxPhase;
  readonly pid: number;
  readonly createdAt?: Timestamp | undefined;
  /** It ended while nobody was waiting. */
  readonly exit?: SandboxExit | undefined;
}

/** The shim says that a sandbox ended. */
export interface SandboxExitReport extends SandboxRef, SandboxExit {
  readonly kind: 'sandbox-exit';
}
