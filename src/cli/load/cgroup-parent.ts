import { readFile, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { cgroupParentOf } from './task-spec.ts';

/** Removes the namespace's own cgroup, which runtimes make as a parent and nobody removes, unless something is in it. */
export async function removeEmptyCgroups(namespace: string): Promise<void> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const roots = mounts
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .flatMap((line) => line.split(' ')[4] ?? []);
  // rmdir takes only what is empty, and only from those who may.
  await Promise.all(roots.map((root) => rmdir(path.join(root, cgroupParentOf(namespace))).catch(() => undefined)));
}
