import { type Dirent, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

export interface FoundProcess {
  readonly pid: number;
  readonly command: string;
}

/** Ended and not waited for: it is its parent's to reap, and holds nothing but a pid. */
function isZombie(pid: number | string): boolean {
  const text = read(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(')') + 2).startsWith('Z');
}

/** Live processes, other than this one, whose command line, environment, directory or cgroup names `mark`. */
export function processesNaming(mark: string): FoundProcess[] {
  const found: FoundProcess[] = [];
  for (const name of list('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid || Number(name) === process.ppid) continue;
    const command = read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim();
    const traces = [command, read(`/proc/${name}/environ`), read(`/proc/${name}/cgroup`)];
    try {
      traces.push(readlinkSync(`/proc/${name}/cwd`));
    } catch {
      // Gone, or a kernel thread.
    }
    if (command !== '' && traces.some((trace) => trace.includes(mark)) && !isZombie(name)) {
      found.push({ pid: Number(name), command });
    }
  }
  return found;
}

/** True while `pid` is a process that has not ended. */
export function isAlive(pid: number): boolean {
  return read(`/proc/${pid}/stat`) !== '' && !isZombie(pid);
}

/** Mount points whose path names `mark`. */
export function mountsNaming(mark: string): string[] {
  return read('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.includes(mark));
}

/** Roots of the cgroup hierarchies: one on v2, one a controller on v1. */
function cgroupRoots(): string[] {
  return read('/proc/self/mountinfo')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point !== '');
}

/** cgroup directories of every hierarchy whose path below its root names `mark`, deepest first. */
export function cgroupsNaming(mark: string): string[] {
  const found: string[] = [];
  const walk = (root: string, relative: string): void => {
    for (const name of list(path.join(root, relative))) {
      const child = path.join(relative, name);
      if (statSync(path.join(root, child), { throwIfNoEntry: false })?.isDirectory() !== true) continue;
      walk(root, child);
      if (child.includes(mark)) found.push(path.join(root, child));
    }
  };
  for (const root of cgroupRoots()) walk(root, '');
  return found;
}

/** Directories that tests name for many containers: a run's, and a namespace's. */
const isParent = (name: string): boolean => /^(shimd|ns)-/.test(name);

/**
 * Of these cgroups, those that a container or a process is left in. A namespace's or a run's own directory, which runtimes
 * make as a parent and nobody removes, does not count while it is empty.
 */
export function occupiedCgroups(mark: string): string[] {
  const found = cgroupsNaming(mark);
  return found.filter(
    (directory) => !isParent(path.basename(directory)) || read(path.join(directory, 'cgroup.procs')).trim() !== '',
  );
}

/** runc's own directories of containers in namespaces whose name has `mark` in it. */
export function runcStateNaming(mark: string, root = '/run/containerd/runc'): string[] {
  return list(root)
    .filter((namespace) => namespace.includes(mark))
    .flatMap((namespace) => list(path.join(root, namespace)).map((id) => path.join(root, namespace, id)));
}

/** Every file, directory (with a slash at its end) and socket below `directory`, relative to it, sorted. */
export function tree(directory: string): string[] {
  const found: string[] = [];
  const walk = (relative: string): void => {
    let entries: Dirent[] = [];
    try {
      entries = readdirSync(path.join(directory, relative), { withFileTypes: true });
    } catch {
      return;
    }
    for (const entry of entries) {
      const name = path.join(relative, entry.name);
      found.push(entry.isDirectory() ? `${name}/` : name);
      if (entry.isDirectory()) walk(name);
    }
  };
  walk('');
  return found.toSorted();
}
