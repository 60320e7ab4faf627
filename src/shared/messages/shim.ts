import type { Namespace, ShimId } from '../identifiers.ts';

export type ShimProtocol = 'ttrpc' | 'grpc';

/** Version of the task API that a shim speaks: `containerd.task.v2.Task` or `containerd.task.v3.Task`. */
export type TaskApiVersion = 2 | 3;

/** `per-task`: one shim for one task (containerd's way). `shared`: one shim for many tasks. */
export type PlacementMode = 'per-task' | 'shared';

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
