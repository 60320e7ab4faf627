import { containersDefinition, eventsDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { containerd as eventTypes } from '../../src/shared/proto/gen/events.js';
import { containerd } from '../../src/shared/proto/gen/services.js';
import { typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import type { CallOptions, Stream } from './api-client.ts';
import type { Daemon } from './daemon.ts';
import { busyboxRootfs } from './runtimes.ts';
import { jsonAny, processSpec, type SpecOptions, specAny, type WireAny } from './spec.ts';

export const runcRuntime = 'io.containerd.runc.v2';

export const { Status } = containerd.v1.types;

export interface ContainerOptions extends Partial<Omit<SpecOptions, 'id'>> {
  readonly runtime?: string;
  readonly options?: WireAny;
  /** Instead of a busybox spec. */
  readonly spec?: WireAny;
}

/** Stores a container's metadata: by default one that would run `sleep 3600` under runc. */
export async function createContainer(daemon: Daemon, id: string, options: ContainerOptions = {}): Promise<void> {
  const { runtime = runcRuntime, args = ['sleep', '3600'], options: runtimeOptions, spec, ...rest } = options;
  await daemon.client.call(containersDefinition.create, {
    container: {
      id,
      runtime: { name: runtime, ...(runtimeOptions ? { options: runtimeOptions } : {}) },
      // Its cgroup is below the test's namespace, so that what is left of it can be told.
      spec: spec ?? specAny({ id: `${daemon.namespace}/${id}`, args, ...rest }),
    },
  });
}

/** A terminal's other end is a file in /dev/pts. */
export const withPts: ContainerOptions = {
  more: {
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
    ],
  },
};

export interface TaskOptions {
  readonly stdin?: string;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly terminal?: boolean;
  readonly rootfs?: { type: string; source: string; target: string; options: string[] }[];
  readonly options?: WireAny;
  readonly budget?: number;
}

/** Creates the task of a container that is stored; answers its pid. */
export async function createTask(daemon: Daemon, id: string, options: TaskOptions = {}): Promise<number> {
  const { budget, ...request } = options;
  const call: CallOptions = budget === undefined ? {} : { budget };
  const { pid } = await daemon.client.call(tasksDefinition.create, { containerId: id, ...request }, call);
  return pid;
}

export async function startTask(daemon: Daemon, id: string, exec = ''): Promise<number> {
  const { pid } = await daemon.client.call(tasksDefinition.start, { containerId: id, execId: exec });
  return pid;
}

/** Container, task and start in one; answers the pid. */
export async function launch(
  daemon: Daemon,
  id: string,
  options: ContainerOptions & { task?: TaskOptions } = {},
): Promise<number> {
  const { task, ...container } = options;
  await createContainer(daemon, id, container);
  const pid = await createTask(daemon, id, task);
  await startTask(daemon, id);
  return pid;
}

export async function addExec(
  daemon: Daemon,
  id: string,
  exec: string,
  args: readonly string[],
  call?: CallOptions,
): Promise<void> {
  const spec = wireAny(jsonAny(typeUrls.process, processSpec({ args })));
  await daemon.client.call(tasksDefinition.exec, { containerId: id, execId: exec, spec }, call);
}

export async function waitTask(daemon: Daemon, id: string, exec = ''): Promise<{ status: number }> {
  const answer = await daemon.client.call(tasksDefinition.wait, { containerId: id, execId: exec });
  return { status: answer.exitStatus };
}

export async function killTask(daemon: Daemon, id: string, signal = 9): Promise<void> {
  await daemon.client.call(tasksDefinition.kill, { containerId: id, signal });
}

/** Deletes a stopped task; answers its exit status. */
export async function deleteTask(daemon: Daemon, id: string): Promise<number> {
  const { exitStatus } = await daemon.client.call(tasksDefinition.delete, { containerId: id });
  return exitStatus;
}

export async function deleteContainer(daemon: Daemon, id: string): Promise<void> {
  await daemon.client.call(containersDefinition.delete, { id });
}

/** Kill, wait, and delete task and container. */
export async function endTask(daemon: Daemon, id: string): Promise<void> {
  await killTask(daemon, id);
  await waitTask(daemon, id);
  await deleteTask(daemon, id);
  await deleteContainer(daemon, id);
}

export type Process = containerd.v1.types.Process.$Properties;

export async function listTasks(daemon: Daemon): Promise<readonly Process[]> {
  const { tasks } = await daemon.client.call(tasksDefinition.list, {});
  return tasks;
}

export async function getTask(daemon: Daemon, id: string, exec = ''): Promise<Process> {
  const { process } = await daemon.client.call(tasksDefinition.get, { containerId: id, execId: exec });
  if (!process) throw new Error(`Tasks.Get of ${id} answered no process`);
  return process;
}

/** Runs `body` for every item, at most `width` at a time. */
export async function forEach<T>(items: readonly T[], width: number, body: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await body(item);
    }),
  );
}

export type Envelope = containerd.types.Envelope;

export function subscribe(daemon: Daemon, ...filters: string[]): Stream<Envelope> {
  return daemon.client.stream(eventsDefinition.subscribe, { filters });
}

export interface TaskExitEvent {
  readonly container: string;
  readonly process: string;
  readonly pid: number;
  readonly status: number;
}

/** The exits among a subscription's messages. */
export function exitsIn(messages: readonly Envelope[]): TaskExitEvent[] {
  return messages
    .filter(({ topic }) => topic === '/tasks/exit')
    .map(({ event }) => {
      const exit = eventTypes.events.TaskExit.decode(event?.value ?? new Uint8Array());
      return { container: exit.containerId, process: exit.id, pid: exit.pid, status: exit.exitStatus };
    });
}

export const rootfs = busyboxRootfs;
