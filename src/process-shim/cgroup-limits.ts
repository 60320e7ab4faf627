import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { deadlineExceeded, isErrnoException, TaskError, unimplemented } from '../shared/errors/index.ts';
import { deadlineIn, remaining } from '../shared/util/deadline.ts';
import { ownCgroupOfController, takesProcesses } from './own-cgroups.ts';
import { type ControlFile, type Controller, controlFiles, type ResourceLimits } from './resource-limits.ts';

const moveBudget = 2_000;
const pollEvery = 5;

/** Where the members of a task are known from, and how it is told what is about to be made for it. */
export interface LimitedTask {
  readonly members: () => Promise<readonly number[]>;
  /** Called before a cgroup is made, so that whoever cleans up later knows of it. */
  readonly announce: () => void;
}

/**
 * The limits of one task. Version 2 has them in the cgroup that tracks the task. Version 1 has a hierarchy for each
 * controller: a cgroup in it is made with the first limit that it is to hold, as most tasks never get one.
 */
export class CgroupLimits {
  readonly #home: string;
  readonly #version: 1 | 2;
  /** Of version 1, by controller. */
  readonly #own = new Map<Controller, string>();

  /** `home` is the cgroup that tracks the task, `own` what an earlier program made for its limits. */
  constructor(home: string, version: 1 | 2, own: Readonly<Record<string, string>> = {}) {
    this.#home = home;
    this.#version = version;
    for (const controller of controllers) {
      const directory = own[controller];
      if (directory !== undefined) this.#own.set(controller, directory);
    }
  }

  /** What was made, by controller. */
  get own(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#own);
  }

  /** Makes a process that has just been started obey the limits too. */
  add(pid: number): void {
    for (const directory of this.#own.values()) writeFileSync(path.join(directory, 'cgroup.procs'), String(pid));
  }

  /**
   * Sets limits; what was set before one that fails is set back. Memory that a process has already is not counted by
   * version 1, where the first limit comes later. Throws UNIMPLEMENTED where the host has no cgroup for it.
   */
  async apply(limits: ResourceLimits, task: LimitedTask): Promise<void> {
    const places = new Map<Controller, string>();
    const files = controlFiles(limits, this.#version).map((file) => {
      const directory = places.get(file.controller) ?? this.#placeOf(file.controller, task);
      places.set(file.controller, directory);
      return { ...file, path: path.join(directory, file.name) };
    });
    if (this.#version === 1) for (const directory of places.values()) await moveInto(directory, task.members);
    const before = new Map<string, string>();
    try {
      for (const file of inOrder(files)) {
        before.set(file.path, readFileSync(file.path, 'latin1').trim());
        write(file);
      }
    } catch (error) {
      for (const [file, value] of [...before].toReversed()) {
        try {
          writeFileSync(file, value);
        } catch {
          // The error that is told comes before it.
        }
      }
      throw error;
    }
  }

  /** The text of a control file; undefined where the task has none of it. */
  read(controller: Controller, name: string): string | undefined {
    const directory = this.#version === 2 ? this.#home : this.#own.get(controller);
    if (directory === undefined) return undefined;
    try {
      return readFileSync(path.join(directory, name), 'latin1').trim();
    } catch {
      return undefined;
    }
  }

  get version(): 1 | 2 {
    return this.#version;
  }

  #placeOf(controller: Controller, task: LimitedTask): string {
    if (this.#version === 2) {
      enable(path.dirname(this.#home), this.#home, controller);
      return this.#home;
    }
    const made = this.#own.get(controller);
    if (made !== undefined) return made;
    const parent = ownCgroupOfController(controller).find(takesProcesses);
    if (parent === undefined) {
      throw unimplemented(
        `the host has no cgroup of the ${controller} controller that this shim may use: run it as root, on a host with ` +
          `the controllers of one cgroup version: not implemented`,
      );
    }
    const directory = path.join(parent.directory, path.basename(this.#home));
    this.#own.set(controller, directory);
    task.announce();
    try {
      mkdirSync(directory);
    } catch (error) {
      this.#own.delete(controller);
      throw TaskError.from(error, `make the cgroup ${directory}`);
    }
    return directory;
  }
}

const controllers: readonly Controller[] = ['cpu', 'memory', 'pids'];

/** Version 2 gives a controller to children only where the parent says so. */
function enable(parent: string, home: string, controller: Controller): void {
  const has = (): boolean =>
    readFileSync(path.join(home, 'cgroup.controllers'), 'latin1').trim().split(' ').includes(controller);
  if (has()) return;
  let reason = 'the kernel did not take it';
  try {
    writeFileSync(path.join(parent, 'cgroup.subtree_control'), `+${controller}`);
    if (has()) return;
  } catch (error) {
    reason = isErrnoException(error) && error.code === 'EBUSY' ? 'processes run in it' : String(error);
  }
  throw unimplemented(
    `the cgroup ${parent} does not hand its ${controller} controller on (${reason}): start the shim in a cgroup that is ` +
      `delegated to it, or as root of the host: not implemented`,
  );
}

/** Moves all members; one that was seen may have started others meanwhile, and those are where their parent was. */
async function moveInto(directory: string, members: () => Promise<readonly number[]>): Promise<void> {
  const file = path.join(directory, 'cgroup.procs');
  const deadline = deadlineIn(moveBudget);
  for (;;) {
    const inside = new Set(readFileSync(file, 'latin1').split('\n').filter(Boolean).map(Number));
    const outside = (await members()).filter((pid) => !inside.has(pid));
    let moved = 0;
    for (const pid of outside) {
      try {
        writeFileSync(file, String(pid));
        moved += 1;
      } catch (error) {
        // It is on its way out, and starts nothing any more.
        if (!(isErrnoException(error) && error.code === 'ESRCH'))
          throw TaskError.from(error, `move ${pid} to ${directory}`);
      }
    }
    if (moved === 0) return;
    if (remaining(deadline) === 0) {
      throw deadlineExceeded(
        `the processes of the task could not be moved to ${directory} within ${moveBudget} ms, as they start others all ` +
          `the time; pause the task first: deadline exceeded`,
      );
    }
    await delay(pollEvery);
  }
}

interface PlacedFile extends ControlFile {
  readonly path: string;
}

/** Memory must never be limited above memory and swap together, on the way up and on the way down. */
function inOrder(files: readonly PlacedFile[]): readonly PlacedFile[] {
  const memory = files.find(({ name }) => name === 'memory.limit_in_bytes');
  const both = files.find(({ name }) => name === 'memory.memsw.limit_in_bytes');
  if (memory === undefined || both === undefined) return files;
  const upwards = both.value === '-1' || Number(both.value) > Number(readFileSync(both.path, 'latin1'));
  return upwards ? [both, memory, ...files.filter((file) => file !== both && file !== memory)] : files;
}

function write({ path: file, value }: PlacedFile): void {
  try {
    writeFileSync(file, value);
  } catch (error) {
    if (isErrnoException(error) && (error.code === 'EINVAL' || error.code === 'EBUSY')) {
      const hint = error.code === 'EBUSY' ? 'the task uses more than that and cannot give it back' : 'not a limit here';
      throw new TaskError('UNKNOWN', `write ${value} to ${file}: the kernel refuses it (${error.code}): ${hint}`, {
        cause: error,
      });
    }
    throw TaskError.from(error, `write ${value} to ${file}`);
  }
}

/** Removes the cgroup of a controller, which has no member any more. */
export function removeCgroup(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if (isErrnoException(error) && error.code === 'ENOENT') return true;
    if (isErrnoException(error) && error.code === 'EBUSY') return false;
    throw error;
  }
}
