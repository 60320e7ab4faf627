/** How to open a supervisor. Everything has a default. */
export interface OpenOptions {
  /**
   * Where tasks and what is known of them live: one directory, or the two of it apart. Tasks in it run on after `close`
   * and are taken over by the next `open`. One supervisor or daemon at a time.
   * Default: a temporary directory; then `close` ends every task and removes it.
   */
  readonly directory?: string | { readonly root: string; readonly state: string };
  /** Whose tasks this supervisor shows and makes. Default `default`. */
  readonly namespace?: string;
  /** Threads that own shims, 1 to 64. Default 1. */
  readonly workers?: number;
  /** How many tasks share a shim process. */
  readonly placement?: PlacementOptions;
  /** The longest that a call without a `timeout` of its own takes, in milliseconds. Default 60 000. */
  readonly timeout?: number;
  /** Gets the supervisor's log, a line a call. Must not throw. Default: no log. */
  readonly log?: (line: LogLine) => void;
  /** Lowest level of these lines. Default `info`. */
  readonly logLevel?: LogLine['level'];
}

export interface PlacementOptions {
  /**
   * `auto`: tasks share a shim where that is known to be safe; `shared`: where it is not known to be unsafe;
   * `per-task`: never. Default `auto`.
   */
  readonly mode?: 'auto' | 'shared' | 'per-task';
  /** Most tasks in one shared shim, 1 to 100. Default 50. */
  readonly tasksPerShim?: number;
  /** Milliseconds that a shared shim without tasks is kept. Default 10 000. */
  readonly idleGrace?: number;
}

/** One event of the supervisor's own, e.g. `task created`; what varies is in `fields`. */
export interface LogLine {
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Limits of one call. One that passes leaves what was asked to finish or to be undone. */
export interface CallOptions {
  /** Milliseconds; then DEADLINE_EXCEEDED. Default: the supervisor's; `wait` has none. */
  readonly timeout?: number;
  /** Aborted: CANCELLED. */
  readonly signal?: AbortSignal;
}

/** Which process of a task: an exec's id, or nothing for the task's own. */
export interface ProcessOptions extends CallOptions {
  readonly exec?: string;
}

/** Where the output of a process goes: to streams of the call's answer, or, both together, to the end of a file. */
export type Output = 'ignore' | 'pipe' | { readonly file: string };

export interface ProcessIo {
  /** `pipe`: the answer's `stdin` is the process's. Default `ignore`: it reads the end at once. */
  readonly stdin?: 'ignore' | 'pipe';
  /** Default `ignore`. A piped output that nobody reads stops its writer when some 64 KiB are full. */
  readonly output?: Output;
  /**
   * Instead of both: paths of FIFOs that exist, or URIs (`file://`, `binary://`), as containerd has them. An
   * empty string is nowhere. With `terminal`, stdout is the terminal and the spec has to ask for one too.
   */
  readonly stdio?: {
    readonly stdin?: string;
    readonly stdout?: string;
    readonly stderr?: string;
    readonly terminal?: boolean;
  };
}

/** A user by number. `additionalGids` are further groups. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids?: readonly number[];
}

/** A mount of an OCI spec. */
export interface Mount {
  /** Absolute path in the container. */
  readonly destination: string;
  /** `bind`, `tmpfs`, … */
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
}

/** Limits of a container, all its processes together. */
export interface Limits {
  /** Bytes. Beyond it the kernel kills (exit status 137, an `oom` event). */
  readonly memory?: number;
  /** CPUs, e.g. 1.5. */
  readonly cpus?: number;
  /** Processes and threads. */
  readonly pids?: number;
}

/**
 * What to run, said in one of three ways: `args` (with `rootfs`: in a container made from it; without: on the host,
 * isolated from nothing), `bundle`, or `spec`.
 */
export interface CreateOptions extends ProcessIo {
  /** Unique among the tasks of the namespace: letters and digits, `.`, `_` and `-` between them, at most 76. */
  readonly id: string;

  /** The program and its arguments. */
  readonly args?: readonly string[];
  /** Default: PATH alone, and of the host nothing else. Pass `process.env` to hand on all of it. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Absolute. Default: `/` in a container, this program's own on the host. */
  readonly cwd?: string;
  /** Default: root in a container, this program's own on the host. */
  readonly user?: User;

  /** Directory with a root file system: runs in a container, in namespaces of its own, without new privileges. */
  readonly rootfs?: string;
  /** Nothing in the root file system can be changed. Default false. */
  readonly readonlyRootfs?: boolean;
  /** `none`: nothing but a loopback; `host`: the host's. Default `none`. */
  readonly network?: 'none' | 'host';
  /** After the usual ones of a container (`/proc`, `/dev`, …). */
  readonly mounts?: readonly Mount[];
  readonly limits?: Limits;

  /** Instead of the above: the directory of an OCI bundle; `args`, `env`, `cwd` and `user` go over its `config.json`. */
  readonly bundle?: string;
  /** Instead of the above: a whole OCI runtime spec, used as it is. `root.path` has to be absolute. */
  readonly spec?: object;

  /** Put over the spec's own. */
  readonly annotations?: Readonly<Record<string, string>>;
  /**
   * `process` (`io.shimd.process.v1`, built in, isolates nothing), `runc` (`io.containerd.runc.v2`), the name of another
   * runtime whose shim is on PATH, or the absolute path of a shim. Default: `runc` with `rootfs`, `bundle` or `spec`,
   * else `process`.
   */
  readonly runtime?: string;
  /** Options of the runtime: an encoded protobuf message, such as `containerd.runc.v1.Options`. */
  readonly runtimeOptions?: { readonly typeUrl: string; readonly value: Uint8Array };
}

/** A further process of a task: like its own, with what is given here put over it. */
export interface ExecOptions extends ProcessIo {
  /** Unique within the task. Default: a made-up one. */
  readonly id?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly user?: User;
  /** Instead of the above: a whole `process` of an OCI spec, used as it is. */
  readonly spec?: object;
}

export interface KillOptions extends ProcessOptions {
  /** All processes of the task, not the first alone. Default false. */
  readonly all?: boolean;
}

export interface DeleteOptions extends ProcessOptions {
  /** Ends a task in whatever state, with everything that belongs to it. Not for an exec. Default false. */
  readonly force?: boolean;
}

export interface EventsOptions {
  /**
   * Begin after the event with this cursor, or with the oldest one that is still known. Default: with what happens
   * from the call on.
   */
  readonly since?: number | 'oldest';
  /** Ends the events without an error. */
  readonly signal?: AbortSignal;
}
