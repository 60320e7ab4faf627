import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';

/** A directory of the host's cgroup file system that may be the shim's own. */
export interface CgroupDirectory {
  readonly directory: string;
  readonly version: 1 | 2;
}

const mount = '/sys/fs/cgroup';

/** Where the shim's own cgroup of a controller's hierarchy (version 1) can be, the likeliest first. */
export function ownCgroupOfController(controller: string): CgroupDirectory[] {
  const own = ownPath((controllers) => controllers.split(',').includes(controller));
  return own === undefined ? [] : candidates(path.join(mount, controller), own, 1);
}

/** Where the shim's own cgroup of the unified hierarchy can be. */
export function ownCgroupOfUnified(): CgroupDirectory[] {
  const own = ownPath((controllers) => controllers === '');
  return own === undefined ? [] : candidates(mount, own, 2);
}

/** True where processes may be moved into this cgroup. */
export function takesProcesses({ directory }: CgroupDirectory): boolean {
  try {
    accessSync(path.join(directory, 'cgroup.procs'), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** In a cgroup namespace the path that the kernel names may not be below the mount; the mount itself is ours then. */
function candidates(hierarchy: string, own: string, version: 1 | 2): CgroupDirectory[] {
  return [
    { directory: path.join(hierarchy, own), version },
    { directory: hierarchy, version },
  ];
}

function ownPath(isOurs: (controllers: string) => boolean): string | undefined {
  let lines: string[];
  try {
    lines = readFileSync('/proc/self/cgroup', 'utf8').split('\n');
  } catch {
    return undefined;
  }
  return lines.flatMap((line) => {
    const [, controllers = '', at] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    return at !== undefined && isOurs(controllers) ? [at] : [];
  })[0];
}
