import { existsSync } from 'node:fs';
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
