import { runtimeName } from '../../src/process-shim/about.ts';
import { typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import type { Daemon, DaemonOptions } from './daemon.ts';
import { combinations, generations, haveRuntimes } from './runtimes.ts';
import { jsonAny, processSpec, type WireAny } from './spec.ts';
import { createContainer, withPts } from './tasks.ts';

export interface ProgramOptions {
  readonly terminal?: boolean;
}

/** Something that tasks run on, which a suite of the task API does not have to know. */
export interface TaskRuntime {
  readonly title: string;
  /** False where it cannot run here. */
  readonly isHere: boolean;
  readonly daemon: DaemonOptions;
  /** Stores a container that runs `args`, which both busybox and the host have. */
  createContainer(daemon: Daemon, id: string, args: readonly string[], options?: ProgramOptions): Promise<void>;
  /** The spec of an exec. */
  processOf(args: readonly string[]): WireAny;
}

function runcRuntime({ title, generation, placement }: (typeof combinations)[number]): TaskRuntime {
  return {
    title,
    isHere: haveRuntimes,
    daemon: { generation, placement },
    createContainer: (daemon, id, args, { terminal = false } = {}) =>
      createContainer(daemon, id, { args, ...(terminal ? { terminal, ...withPts } : {}) }),
    processOf: (args) => wireAny(jsonAny(typeUrls.process, processSpec({ args }))),
  };
}

function hostProcess(args: readonly string[], terminal = false): object {
  return { args, cwd: '/', env: ['PATH=/usr/bin:/bin'], terminal };
}

/** The runtime that comes with the build. Any user can run it. */
export const embeddedRuntime: TaskRuntime = {
  title: runtimeName,
  isHere: true,
  daemon: { placement: 'shared' },
  createContainer: (daemon, id, args, { terminal } = {}) => {
    const spec = wireAny(jsonAny(typeUrls.spec, { ociVersion: '1.0.2', process: hostProcess(args, terminal) }));
    return createContainer(daemon, id, { runtime: runtimeName, spec });
  },
  processOf: (args) => wireAny(jsonAny(typeUrls.process, hostProcess(args))),
};

/** runc's newest shim shared, its oldest with a task each, and the embedded runtime. */
export const taskRuntimes: readonly TaskRuntime[] = [
  ...combinations
    .filter(({ generation, placement }) =>
      placement === 'shared' ? generation === generations.at(-1) : generation === generations[0] || !haveRuntimes,
    )
    .map(runcRuntime),
  embeddedRuntime,
];
