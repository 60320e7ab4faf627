/**
 * The parts of an OCI runtime spec that the CLI reads or writes. Whatever else a bundle's `config.json` holds is
 * carried along untouched, hence the open records.
 */
export interface Spec {
  ociVersion: string;
  process: Process;
  root: { path: string; readonly?: boolean };
  hostname?: string;
  mounts?: Mount[];
  linux?: Linux;
  [other: string]: unknown;
}

export interface Process {
  terminal?: boolean;
  consoleSize?: ConsoleSize;
  /** Absent: root, or for a process on the host whom the shim runs as. */
  user?: User;
  args: string[];
  env?: string[];
  cwd: string;
  capabilities?: Partial<Record<'bounding' | 'effective' | 'permitted' | 'inheritable' | 'ambient', readonly string[]>>;
  noNewPrivileges?: boolean;
  oomScoreAdj?: number;
  [other: string]: unknown;
}

/** In characters. */
export interface ConsoleSize {
  readonly height: number;
  readonly width: number;
}

export interface User {
  uid: number;
  gid: number;
  additionalGids?: number[];
}

export interface Mount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
  [other: string]: unknown;
}

export interface Linux {
  namespaces?: { type: string; path?: string }[];
  cgroupsPath?: string;
  resources?: Record<string, unknown>;
  maskedPaths?: string[];
  readonlyPaths?: string[];
  [other: string]: unknown;
}
