import { rmdir } from 'node:fs/promises';
import path from 'node:path';
import { readMounts } from './mounts.ts';

/** A cgroup below the root of each hierarchy. Only an absolute path in cgroupfs form says where that is; else undefined. Pure. */
export function ownCgroup(cgroupsPath: string | undefined): string | undefined {
  if (cgroupsPath === undefined || !cgroupsPath.startsWith('/') || cgroupsPath.includes(':')) return undefined;
  const relative = path.normalize(cgroupsPath);
  // The root of a hierarchy is nobody's own, and names that climb are not followed.
  return relative === '/' || relative.split('/').includes('..') ? undefined : relative;
}

/**
 * Removes the cgroup that a killed runtime left, in every hierarchy, where it is empty: a cgroup with a process or a
 * child in it cannot be removed, and stays.
 */
export async function removeEmptyCgroup(cgroupsPath: string | undefined): Promise<void> {
  const relative = ownCgroup(cgroupsPath);
  if (relative === undefined) return;
  const hierarchies = (await readMounts()).filter((mount) => mount.type === 'cgroup' || mount.type === 'cgroup2');
  await Promise.all(hierarchies.map((mount) => rmdir(path.join(mount.mountPoint, relative)).catch(() => undefined)));
}
