import { defaultPath, mergeEnvironment } from '../../shared/oci/default-spec.ts';
import type { ConsoleSize, Spec, User } from '../../shared/oci/spec.ts';

/** The runtime that comes with shimd and runs processes on the host itself. */
const hostRuntime = /^io\.shimd\.process\.v\d+$|\/containerd-shim-process-v\d+$/;

/** Whether a runtime isolates nothing, and so refuses every spec that asks for it. */
export function isHostRuntime(runtime: string): boolean {
  return hostRuntime.test(runtime);
}

export interface HostSpecParameters {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  /** Undefined: whom the shim runs as. */
  readonly user: User | undefined;
  readonly terminal: boolean;
  readonly consoleSize: ConsoleSize | undefined;
}

/** The OCI spec of a process on the host: a command and how to run it, and nothing that would have to be isolated. */
export function hostSpec(parameters: HostSpecParameters): Spec {
  const { terminal, consoleSize, user } = parameters;
  return {
    ociVersion: '1.0.2',
    process: {
      terminal,
      ...(terminal && consoleSize ? { consoleSize } : {}),
      ...(user ? { user } : {}),
      args: [...parameters.args],
      env: mergeEnvironment([defaultPath, ...(terminal ? ['TERM=xterm'] : [])], parameters.env),
      cwd: parameters.cwd,
    },
    root: { path: '/' },
  };
}
