import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { deadlineExceeded, isErrnoException } from '../shared/errors/index.ts';
import { deadlineIn, remaining } from '../shared/util/deadline.ts';
import type { Membership, RecordedMembership } from './membership.ts';

/** A directory of the host's cgroup file system under which the shim may make cgroups that can be frozen. */
export interface CgroupRoot {
  readonly directory: string;
  readonly version: 1 | 2;
}

const mount = '/sys/fs/cgroup';
const freezeBudget = 2_000;
const removeBudget = 1_000;
const pollEvery = 5;

/** The shim's own cgroup of the freezer (version 1) or of the unified hierarchy, where the shim may make children in it. */
export function findCgroupRoot(): CgroupRoot | undefined {
  let lines: string[];
  try {
    lines = readFileSync('/proc/self/cgroup', 'utf8').split('\n');
  } catch {
    return undefined;
  }
  const own = (isOurs: (controllers: string) => boolean): string | undefined =>
    lines.flatMap((line) => {
      const [, controllers = '', at] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      return at !== undefined && isOurs(controllers) ? [at] : [];
    })[0];
  const freezer = own((controllers) => controllers.split(',').includes('freezer'));
  const unified = own((controllers) => controllers === '');
  const candidates: CgroupRoot[] = [
    ...(freezer === undefined ? [] : rootsOf(path.join(mount, 'freezer'), freezer, 1 as const)),
    ...(unified === undefined ? [] : rootsOf(mount, unified, 2 as const)),
  ];
  return candidates.find(isUsable);
}

/** In a cgroup namespace the path that the kernel names may not be below the mount; the mount itself is ours then. */
function rootsOf(hierarchy: string, own: string, version: 1 | 2): CgroupRoot[] {
  return [
    { directory: path.join(hierarchy, own), version },
    { directory: hierarchy, version },
  ];
}

function isUsable({ directory, version }: CgroupRoot): boolean {
  try {
    accessSync(path.join(directory, 'cgroup.procs'), constants.W_OK);
    if (version === 2) accessSync(path.join(directory, 'cgroup.controllers'), constants.R_OK);
    const trial = path.join(directory, `shimd-process-trial-${process.pid}`);
    mkdirSync(trial);
    let works: boolean;
    try {
      accessSync(path.join(trial, version === 1 ? 'freezer.state' : 'cgroup.freeze'), constants.W_OK);
      works = true;
    } catch {
      works = false;
    }
    rmdirSync(trial);
    return works;
  } catch {
    return false;
  }
}

/** Members by cgroup: the kernel keeps the list, nothing can leave it by itself, and the freezer stops all at once. */
export class CgroupMembership implements Membership {
  readonly environment: readonly string[] = [];
  readonly recorded: RecordedMembership & { readonly kind: 'cgroup' };

  constructor(recorded: RecordedMembership & { readonly kind: 'cgroup' }) {
    this.recorded = recorded;
  }

  /** Makes the cgroup. Throws a system error. */
  static create(root: CgroupRoot, name: string): CgroupMembership {
    const directory = path.join(root.directory, `shimd-process-${name}`);
    mkdirSync(directory);
    return new CgroupMembership({ kind: 'cgroup', directory, version: root.version });
  }

  add(pid: number): void {
    writeFileSync(this.#file('cgroup.procs'), String(pid));
  }

  pids(): Promise<readonly number[]> {
    try {
      const list = readFileSync(this.#file('cgroup.procs'), 'latin1');
      return Promise.resolve(list.split('\n').filter(Boolean).map(Number));
    } catch (error) {
      if (isErrnoException(error) && ['ENOENT', 'ENODEV'].includes(error.code)) return Promise.resolve([]);
      return Promise.reject(error);
    }
  }

  freeze(): Promise<void> {
    return this.#set(true);
  }

  thaw(): Promise<void> {
    return this.#set(false);
  }

  async remove(): Promise<void> {
    const deadline = deadlineIn(removeBudget);
    for (;;) {
      try {
        rmdirSync(this.recorded.directory);
        return;
      } catch (error) {
        if (isErrnoException(error) && error.code === 'ENOENT') return;
        // EBUSY while the last member is still on its way out.
        if (remaining(deadline) === 0) throw error;
      }
      await delay(pollEvery);
    }
  }

  async #set(frozen: boolean): Promise<void> {
    const first = this.recorded.version === 1;
    const wanted = first ? (frozen ? 'FROZEN' : 'THAWED') : frozen ? '1' : '0';
    const deadline = deadlineIn(freezeBudget);
    writeFileSync(this.#file(first ? 'freezer.state' : 'cgroup.freeze'), wanted);
    while (!this.#is(wanted)) {
      if (remaining(deadline) === 0) {
        if (frozen) writeFileSync(this.#file(first ? 'freezer.state' : 'cgroup.freeze'), first ? 'THAWED' : '0');
        throw deadlineExceeded(
          `the cgroup ${this.recorded.directory} did not become ${frozen ? 'frozen' : 'thawed'} within ${freezeBudget} ms: deadline exceeded`,
        );
      }
      await delay(pollEvery);
    }
  }

  #is(wanted: string): boolean {
    if (this.recorded.version === 1) return readFileSync(this.#file('freezer.state'), 'latin1').trim() === wanted;
    return readFileSync(this.#file('cgroup.events'), 'latin1').includes(`frozen ${wanted}`);
  }

  #file(name: string): string {
    return path.join(this.recorded.directory, name);
  }
}
