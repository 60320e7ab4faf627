import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { deadlineExceeded, isErrnoException } from '../shared/errors/index.ts';
import { deadlineIn, remaining } from '../shared/util/deadline.ts';
import { CgroupLimits, removeCgroup } from './cgroup-limits.ts';
import type { Membership, RecordedMembership } from './membership.ts';
import { type CgroupDirectory, ownCgroupOfController, ownCgroupOfUnified, takesProcesses } from './own-cgroups.ts';
import type { ResourceLimits } from './resource-limits.ts';

const freezeBudget = 2_000;
const removeBudget = 1_000;
const pollEvery = 5;

/** The shim's own cgroup of the freezer (version 1) or of the unified hierarchy, where the shim may make children in it. */
export function findCgroupRoot(): CgroupDirectory | undefined {
  return [...ownCgroupOfController('freezer'), ...ownCgroupOfUnified()].find(isUsable);
}

function isUsable(candidate: CgroupDirectory): boolean {
  const { directory, version } = candidate;
  if (!takesProcesses(candidate)) return false;
  try {
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

type RecordedCgroup = RecordedMembership & { readonly kind: 'cgroup' };

/** Members by cgroup: the kernel keeps the list, nothing can leave it by itself, and the freezer stops all at once. */
export class CgroupMembership implements Membership {
  readonly environment: readonly string[] = [];
  readonly limits: CgroupLimits;
  readonly #directory: string;
  readonly #version: 1 | 2;

  constructor({ directory, version, limits }: RecordedCgroup) {
    this.#directory = directory;
    this.#version = version;
    this.limits = new CgroupLimits(directory, version, limits);
  }

  get recorded(): RecordedCgroup {
    const limits = this.limits.own;
    const recorded = { kind: 'cgroup', directory: this.#directory, version: this.#version } as const;
    return Object.keys(limits).length === 0 ? recorded : { ...recorded, limits };
  }

  /** One that is to be made. */
  static at(root: CgroupDirectory, name: string): CgroupMembership {
    const directory = path.join(root.directory, `shimd-process-${name}`);
    return new CgroupMembership({ kind: 'cgroup', directory, version: root.version });
  }

  /** Makes the cgroup. Throws a system error. */
  make(): void {
    mkdirSync(this.#directory);
  }

  add(pid: number): void {
    writeFileSync(this.#file('cgroup.procs'), String(pid));
    this.limits.add(pid);
  }

  update(limits: ResourceLimits, announce: () => void): Promise<void> {
    return this.limits.apply(limits, { members: () => this.pids(), announce });
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
    // That which tracks the members last: as long as it is there, the rest is found again.
    for (const directory of [...Object.values(this.limits.own), this.#directory]) {
      // Busy while the last member is still on its way out.
      while (!removeCgroup(directory)) {
        if (remaining(deadline) === 0) {
          throw deadlineExceeded(`the cgroup ${directory} is still busy after ${removeBudget} ms: deadline exceeded`);
        }
        await delay(pollEvery);
      }
    }
  }

  async #set(frozen: boolean): Promise<void> {
    const first = this.#version === 1;
    const wanted = first ? (frozen ? 'FROZEN' : 'THAWED') : frozen ? '1' : '0';
    const deadline = deadlineIn(freezeBudget);
    writeFileSync(this.#file(first ? 'freezer.state' : 'cgroup.freeze'), wanted);
    while (!this.#is(wanted)) {
      if (remaining(deadline) === 0) {
        if (frozen) writeFileSync(this.#file(first ? 'freezer.state' : 'cgroup.freeze'), first ? 'THAWED' : '0');
        throw deadlineExceeded(
          `the cgroup ${this.#directory} did not become ${frozen ? 'frozen' : 'thawed'} within ${freezeBudget} ms: deadline exceeded`,
        );
      }
      await delay(pollEvery);
    }
  }

  #is(wanted: string): boolean {
    if (this.#version === 1) return readFileSync(this.#file('freezer.state'), 'latin1').trim() === wanted;
    return readFileSync(this.#file('cgroup.events'), 'latin1').includes(`frozen ${wanted}`);
  }

  #file(name: string): string {
    return path.join(this.#directory, name);
  }
}
