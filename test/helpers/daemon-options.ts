import type { Generation, Placement } from './runtimes.ts';

export interface DaemonOptions {
  /** Whose shim is on PATH; none where left out. */
  readonly generation?: Generation;
  /** Placement of every runtime, with a short grace for idle shims; the daemon's own choice where left out. */
  readonly placement?: Placement;
  /** Default 2. */
  readonly workers?: number;
  /** Directories put before PATH, e.g. of fixture shims. */
  readonly programs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** TOML, after what `placement` makes. */
  readonly config?: string;
  /** Default: a directory of its own. */
  readonly state?: string;
  /** Most descriptors that it may have open; what this process may where left out. */
  readonly nofile?: number;
  /** More arguments of `serve`. */
  readonly args?: readonly string[];
}
