import { rmdir } from 'node:fs/promises';
import path from 'node:path';
import { readMounts } from './mounts.ts';

/**
 * Removes the cgroup that a killed runtime left, in every hierarchy, where it is empty: a cgroup with a process or a
 * child in it cannot be removed, and stays. Only an absolute path in cgroupfs form says where that is.
 */
export async function removeEmptyCgroup(cgroupsPath: string | undefined): Promise<void> {
  if (cgroupsPath === undefined || !cgroupsPath.startsWith('/') || cgroupsPath.includes(':')) return;
  const relative = path.normalize(cgroupsPath);
  // The root of a hierarchy is nobody's to remove, and names that climb are not followed.
  if (relative === '/' || relative.split('/').includes('..')) return;
  const hierarchies = (await readMounts()).filter((mount) => mount.type === 'cgroup' || mount.type === 'cgroup2');
  await Promise.all(hierarchies.map((mount) => rmdir(path.join(mount.mountPoint, relative)).catch(() => undefined)));
}
