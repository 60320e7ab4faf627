import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { readBundleSpec } from './bundle.ts';
import { ownCgroup } from './cgroups.ts';
import { type MountEntry, readMounts } from './mounts.ts';
import { readSpecFacts } from './spec-facts.ts';

/** Where each version of cgroups counts the processes that were killed for want of memory. */
const counters: Readonly<Record<string, string>> = { cgroup: 'memory.oom_control', cgroup2: 'memory.events' };

/** The hierarchy with the memory controller, once a cgroup was found in it. */
let known: MountEntry | undefined;

/** The number in a line `oom_kill N`; undefined where there is none, as before Linux 4.13. Pure. */
export function parseOomKills(text: string): number | undefined {
  const found = /^oom_kill (\d+)$/m.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

async function killsIn({ mountPoint, type }: MountEntry, cgroup: string): Promise<number | undefined> {
  const counter = counters[type];
  if (counter === undefined) return undefined;
  const directory = path.join(mountPoint, cgroup);
  try {
    const kills = parseOomKills(await readFile(path.join(directory, counter), 'utf8'));
    // Version 1 counts a cgroup's own processes alone: with cgroups in it, 0 says nothing.
    return (await stat(directory)).nlink > 2 ? undefined : kills;
  } catch {
    return undefined;
  }
}

/**
 * True where the kernel has killed nothing in the cgroup of a bundle's task for want of memory; false too where that
 * cannot be told. The kernel counts before it kills, so it is known as soon as a process has ended. Never throws.
 */
export async function killedNothing(bundle: string): Promise<boolean> {
  try {
    const spec = await readBundleSpec(bundle);
    const cgroup = spec === undefined ? undefined : ownCgroup(readSpecFacts(spec).cgroupsPath);
    if (cgroup === undefined) return false;
    if (known !== undefined) return (await killsIn(known, cgroup)) === 0;
    for (const mount of await readMounts()) {
      const kills = await killsIn(mount, cgroup);
      if (kills === undefined) continue;
      known = mount;
      return kills === 0;
    }
    return false;
  } catch {
    return false;
  }
}
