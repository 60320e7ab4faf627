// What the host says: processes, mounts, cgroups, memory.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';

export function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function list(directory) {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function statOf(pid) {
  const text = read(`/proc/${pid}/stat`);
  return text === '' ? undefined : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** A process that cannot be mistaken for a later one of the same pid; undefined where there is none. */
export function identify(pid) {
  const fields = statOf(pid);
  return fields === undefined || fields[0] === 'Z' ? undefined : { pid, startTime: fields[19] };
}

export function isAlive({ pid, startTime }) {
  return identify(pid)?.startTime === startTime;
}

/** Sends a signal to exactly this process; false where it is gone. */
export function signal(target, name) {
  if (!isAlive(target)) return false;
  try {
    process.kill(target.pid, name);
    return true;
  } catch {
    return false;
  }
}

/** Live processes, other than this one and its parent, whose command, environment, directory or cgroup names `mark`. */
export function processesNaming(mark) {
  const found = [];
  for (const name of list('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid || Number(name) === process.ppid) continue;
    const command = read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim();
    const traces = [command, read(`/proc/${name}/environ`), read(`/proc/${name}/cgroup`)];
    try {
      traces.push(readlinkSync(`/proc/${name}/cwd`));
    } catch {
      // Gone, or a kernel thread.
    }
    const identity = identify(Number(name));
    if (command !== '' && identity && traces.some((trace) => trace.includes(mark)))
      found.push({ ...identity, command });
  }
  return found;
}

/** Ended children that this process has not waited for. */
export function zombiesOf(parent) {
  return list('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    const [state, ppid] = statOf(name) ?? [];
    return state === 'Z' && Number(ppid) === parent;
  });
}

/** How many descriptors a process has open. */
export function descriptorsOf(pid) {
  return list(`/proc/${pid}/fd`).length;
}

export function mountsBelow(directory) {
  return read('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${directory}/`));
}

/** Directories of the cgroup hierarchies whose path names `mark`, deepest first. */
export function cgroupsNaming(mark) {
  const roots = read('/proc/self/mountinfo')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4]);
  const found = [];
  const walk = (directory) => {
    for (const name of list(directory)) {
      const child = path.join(directory, name);
      if (statSync(child, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
      walk(child);
      if (child.includes(mark)) found.push(child);
    }
  };
  for (const root of roots) walk(root);
  return found;
}

/** Memory that is a process's alone, in MB: a share of what others use too would change with them. */
export function memoryOf(pid) {
  return Number(/^Private_Dirty:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) / 1024;
}

export function names(directory) {
  return list(directory);
}
