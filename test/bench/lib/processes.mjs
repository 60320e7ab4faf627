// What /proc says of processes: memory and processor time.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

function read(file) {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** Milliseconds of one tick of the kernel's clock, which it has told programs for as long as there is /proc. */
const tick = 10;

/** Milliseconds of processor time of a process and of its children that it has waited for; undefined where it is gone. */
export function cpuOf(pid) {
  const text = read(`/proc/${pid}/stat`);
  if (text === '') return undefined;
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [user, system, childUser, childSystem] = fields.slice(11, 15);
  return { own: (user + system) * tick, children: (childUser + childSystem) * tick };
}

/** Proportional set size in MB: memory that several share counts once in all. */
export function pssOf(pid) {
  return Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) / 1024;
}

/** Pids of the shims whose bundles are below `directory`: a shim works in the one that it was started for. */
export function shimsBelow(directory) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      if (!read(`/proc/${pid}/cmdline`).includes('containerd-shim-')) return false;
      try {
        return readlinkSync(`/proc/${pid}/cwd`).startsWith(`${directory}${path.sep}`);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Pids of the daemons whose configuration is below `directory`. */
export function daemonsBelow(directory) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const args = read(`/proc/${pid}/cmdline`).split('\0');
      return args.some((arg, at) => args[at - 1] === '--config' && arg.startsWith(`${directory}${path.sep}`));
    })
    .map(Number);
}

/** Pids of everything that these have started, and that in its turn. */
export function descendantsOf(pids) {
  const children = new Map();
  for (const name of readdirSync('/proc')) {
    const text = /^\d+$/.test(name) ? read(`/proc/${name}/stat`) : '';
    if (text === '') continue;
    const parent = Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(Number(name));
  }
  const found = pids.flatMap((pid) => children.get(pid) ?? []);
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

export function isAlive(pid) {
  const text = read(`/proc/${pid}/stat`);
  return text !== '' && text.slice(text.lastIndexOf(')') + 2)[0] !== 'Z';
}

/** Resident set size in MB, whoever else has the same pages. */
export function rssOf(pid) {
  return Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;
}
