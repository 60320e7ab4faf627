import type { Namespace, ShimId } from '../identifiers.ts';
import type { Any } from '../wire/any.ts';

export type ShimProtocol = 'ttrpc' | 'grpc';

/** Version of the task API that a shim speaks: `containerd.task.v2.Task` or `containerd.task.v3.Task`. */
export type TaskApiVersion = 2 | 3;

/**
 * Whose a shim is.
 *
 * - `per-task`: one task's (containerd's way); it ends with it.
 * - `shared`: one for many tasks.
 * - `sandbox`: a sandbox's, for its tasks; it ends with the sandbox.
 * - `joined`: somebody else's, at an address that came with the task; it is never asked to end.
 */
export type PlacementMode = 'per-task' | 'shared' | 'sandbox' | 'joined';

/** How a new shim is started. */
export interface ShimStart {
  readonly shim: ShimId;
  /** Absolute path of the binary. */
  readonly binary: string;
  /** Runtime options that belong to the shim (`shim_cgroup` and the like). */
  readonly options?: Any | undefined;
}

/** A shim that somebody else runs. */
export interface ShimAddress {
  /** Such as `unix:///run/x.sock`. */
  readonly address: string;
  readonly protocol: ShimProtocol;
  readonly apiVersion: TaskApiVersion;
}

/** Which shim a task is created in: one that this slot has, one of its own, or one that somebody else runs. */
export type ShimChoice =
  | { readonly kind: 'running'; readonly shim: ShimId }
  | { readonly kind: 'own'; readonly start: ShimStart }
  /** `binary` is for the `delete` action, where that shim is gone. */
  | { readonly kind: 'joined'; readonly shim: ShimId; readonly at: ShimAddress; readonly binary: string };

/**
 * How a binary's `start` action wants its parameters, learnt once a binary:
 * a serialized `BootstrapParams`, or (containerd 1.6 to 2.2) the runtime options alone as an `Any`.
 */
export type StartForm = 'bootstrap-params' | 'options-any';

/** What is known of a shim's binary, learnt from `-v` once per path and modification time. */
export interface BinaryFacts {
  /** Absolute path. */
  readonly binary: string;
  /** `major.minor.patch` without build metadata; absent where `-v` says nothing useful. */
  readonly version?: string | undefined;
  readonly startForm: StartForm | 'unknown';
}

/** A shim that runs and answers. */
export interface ShimInfo {
  readonly namespace: Namespace;
  readonly id: ShimId;
  readonly mode: PlacementMode;
  readonly binary: string;
  /** Process id; 0 where the shim does not tell. */
  readonly pid: number;
  /** Where it listens, e.g. `unix:///run/containerd/s/<hash>`. */
  readonly address: string;
  readonly protocol: ShimProtocol;
  readonly apiVersion: TaskApiVersion;
}
