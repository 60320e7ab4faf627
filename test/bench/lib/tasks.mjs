import { inParallel } from './statistics.mjs';

const capabilities = ['CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_SYS_CHROOT'];

/** Programs of tasks, as arguments. */
export const programs = {
  /** Ends at once. */
  brief: ['/bin/true'],
  /** Runs until it is killed. */
  endless: ['/bin/sleep', '1000000'],
  /** Ends with 3 when it gets SIGTERM from outside: an end of its own, not a kill. */
  polite: ['/bin/sh', '-c', "trap 'exit 3' TERM; while :; do sleep 1000000 & wait; done"],
};

function processOf(args) {
  return {
    terminal: false,
    user: { uid: 0, gid: 0 },
    args,
    env: ['PATH=/bin'],
    cwd: '/',
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    noNewPrivileges: true,
  };
}

/** A container that runc makes: busybox in namespaces of its own and a cgroup. */
export function containerRuntime(shim, rootfs) {
  return {
    name: shim,
    process: processOf,
    spec: (args, cgroup) => ({
      ociVersion: '1.0.2',
      process: processOf(args),
      root: { path: rootfs, readonly: true },
      hostname: 'bench',
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
      ],
      linux: {
        cgroupsPath: cgroup,
        namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }],
      },
    }),
  };
}

/** The same programs on the host, by shimd's own runtime. */
export function hostRuntime(shim) {
  const process = (args) => ({ args, cwd: '/', env: ['PATH=/usr/bin:/bin'] });
  return { name: shim, process, spec: (args) => ({ ociVersion: '1.0.2', process: process(args) }) };
}

const none = { stdin: '', stdout: '', stderr: '', terminal: false };
const specType = 'types.containerd.io/opencontainers/runtime-spec/1/Spec';
const processType = 'types.containerd.io/opencontainers/runtime-spec/1/Process';

/** Tasks of one daemon, through its API. */
export class Tasks {
  constructor(client, runtime, cgroup) {
    this.client = client;
    this.runtime = runtime;
    this.cgroup = cgroup;
    this.tasks = client.api.tasksDefinition;
    this.containers = client.api.containersDefinition;
  }

  makeContainer(id, args) {
    const spec = this.runtime.spec(args, `/${this.cgroup}/${id}`);
    const value = Buffer.from(JSON.stringify(spec));
    const runtime = { name: this.runtime.name };
    return this.client.call(this.containers.create, {
      container: { id, runtime, spec: { type_url: specType, value } },
    });
  }

  dropContainer(id) {
    return this.client.call(this.containers.delete, { id });
  }

  create(containerId) {
    return this.client.call(this.tasks.create, { containerId, rootfs: [], ...none });
  }

  start(containerId, execId = '') {
    return this.client.call(this.tasks.start, { containerId, execId });
  }

  wait(containerId, execId = '') {
    return this.client.call(this.tasks.wait, { containerId, execId }, 600_000);
  }

  delete(containerId) {
    return this.client.call(this.tasks.delete, { containerId });
  }

  kill(containerId, signal = 9) {
    return this.client.call(this.tasks.kill, { containerId, execId: '', signal, all: false });
  }

  /** From create to delete of a task that ends by itself; its container is there. */
  async lifecycle(id) {
    await this.create(id);
    const ended = this.wait(id);
    await this.start(id);
    const { exitStatus } = await ended;
    await this.delete(id);
    if (exitStatus !== 0) throw new Error(`task ${id} ended with ${exitStatus} instead of 0`);
  }

  /** A process more in a running task, from its start to its delete. */
  async exec(containerId, execId, args) {
    const value = Buffer.from(JSON.stringify(this.runtime.process(args)));
    const spec = { type_url: processType, value };
    await this.client.call(this.tasks.exec, { containerId, execId, spec, ...none });
    const ended = this.wait(containerId, execId);
    await this.start(containerId, execId);
    const { exitStatus } = await ended;
    await this.client.call(this.tasks.deleteProcess, { containerId, execId });
    return exitStatus;
  }

  /** A running task with a container of its own; resolves to its pid. */
  async run(id, args) {
    await this.makeContainer(id, args);
    const { pid } = await this.create(id);
    await this.start(id);
    return pid;
  }

  /** Kills and deletes what runs, eight at a time, containers included. */
  async clear(ids) {
    await inParallel(8, ids.length, async (turn) => {
      const id = ids[turn];
      const ended = this.wait(id);
      await this.kill(id);
      await ended;
      await this.delete(id);
      await this.dropContainer(id);
    });
  }
}
