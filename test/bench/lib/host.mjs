import { existsSync, readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import path from 'node:path';

/** The newest generation's programs. Throws, with what to do, where something of `kinds` is missing. */
export function findPrograms({ generations, runc, rootfs, missing }, kinds) {
  if (process.getuid() !== 0) throw new Error('runc and containerd need root: run this as root');
  const newest = generations.at(-1);
  if (missing.length > 0 || !newest)
    throw new Error(`missing: ${missing.join(', ')}; install them and put them on PATH`);
  const containerd = path.join(path.dirname(newest.ctr), 'containerd');
  if (kinds.includes('containerd') && !existsSync(containerd))
    throw new Error(`there is no containerd beside ${newest.ctr}`);
  const about = `containerd and shim ${newest.version}, runc ${runc.version}`;
  return { containerd, shim: newest.shim, runc: runc.path, rootfs, about };
}

/** Removes the empty cgroups below a name at the top of each hierarchy. */
export function removeCgroups(name) {
  const roots = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4]);
  const remove = (directory) => {
    if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) return;
    for (const entry of readdirSync(directory, { withFileTypes: true }))
      if (entry.isDirectory()) remove(path.join(directory, entry.name));
    try {
      rmdirSync(directory);
    } catch {
      // A task that could not be ended is in it.
    }
  };
  for (const root of roots) remove(path.join(root, name));
}
