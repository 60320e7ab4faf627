import { cgroupsPathOf, defaultSpec } from '../../shared/oci/default-spec.ts';
import type { Spec } from '../../shared/oci/spec.ts';
import { hostSpec } from '../container/host-spec.ts';

/** The runtime that comes with shimd: processes of the host, for any user. */
export const embeddedRuntime = 'io.shimd.process.v1';
export const containerRuntime = 'io.containerd.runc.v2';

/** The OCI spec of a load's task that runs `script` in a shell. */
export type SpecMaker = (id: string, script: string) => Spec;

const shell = (script: string): string[] => ['/bin/sh', '-c', script];

/** A process of the host, as whoever the shim runs as. */
export const processSpec: SpecMaker = (_, script) =>
  hostSpec({ args: shell(script), env: [], cwd: '/', user: undefined, terminal: false, consoleSize: undefined });

/** A container as `shimd run --rootfs` makes it, but for its root, which it may not write to: all tasks share it. */
export function containerSpec(namespace: string, rootfs: string): SpecMaker {
  return (id, script) =>
    defaultSpec({
      id,
      namespace,
      rootfs,
      readonlyRootfs: true,
      args: shell(script),
      env: [],
      cwd: '/',
      user: { uid: 0, gid: 0 },
      terminal: false,
      consoleSize: undefined,
      network: 'none',
      limits: {},
      hostFiles: [],
    });
}

/** The parent of the cgroups of `containerSpec`, below the root of each hierarchy. */
export function cgroupParentOf(namespace: string): string {
  return cgroupsPathOf(namespace, '').replace(/\/+$/, '');
}
