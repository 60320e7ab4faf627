import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { alreadyExists, invalidArgument, notFound, TaskError, unimplemented } from '../shared/errors/index.ts';
import type { Logger } from '../shared/log/logger.ts';
import { containerd } from '../shared/proto/gen/task.js';
import type { CallContext } from '../shared/ttrpc/index.ts';
import { typeUrls, wireAny } from '../shared/wire/any.ts';
import { runtimeName, version } from './about.ts';
import type { HostProcess } from './host-process.ts';
import type { Memberships } from './memberships.ts';
import { parseSpec } from './spec.ts';
import { Task } from './task.ts';
import { exitedAt, type TaskEvents } from './task-events.ts';

type Api = typeof containerd.task.v2;
type Request<Name extends keyof Api> = InstanceType<Api[Name]>;

const { Status } = containerd.v1.types;

export interface TaskServiceOptions {
  readonly events: TaskEvents;
  readonly memberships: Memberships;
  readonly logger: Logger;
  /** True while the shim is needed for something else than tasks. */
  isNeeded(): boolean;
  /** Told once when a Shutdown finds no task left; the reply goes out first. */
  onShutdown(): void;
}

/** The task API over the tasks of this shim. Codes and messages are those that clients know from the runc shim. */
export class TaskService {
  readonly #options: TaskServiceOptions;
  readonly #tasks = new Map<string, Task>();
  /** Ids of tasks that are being created or deleted. */
  readonly #busy = new Set<string>();
  #shuttingDown = false;

  constructor(options: TaskServiceOptions) {
    this.#options = options;
  }

  get taskCount(): number {
    return this.#tasks.size + this.#busy.size;
  }

  async create(request: Request<'CreateTaskRequest'>): Promise<{ pid: number }> {
    const { id, bundle } = request;
    if (this.#shuttingDown) throw new TaskError('UNAVAILABLE', `create task ${id}: the shim is shutting down`);
    if (id === '') throw invalidArgument('create: the task needs an id: invalid argument');
    if (!path.isAbsolute(bundle))
      throw invalidArgument(`create task ${id}: bundle ${bundle} is not absolute: invalid argument`);
    if (request.checkpoint) throw unimplemented('this runtime cannot restore checkpoints: not implemented');
    if (this.#tasks.has(id) || this.#busy.has(id)) throw alreadyExists(`task ${id}: already exists`);
    this.#busy.add(id);
    try {
      const { process: spec, ignoreIsolation } = parseSpec(await readConfig(bundle));
      if (request.rootfs.length > 0 && !ignoreIsolation) {
        throw invalidArgument(
          `create task ${id}: this runtime mounts no rootfs, it runs processes on the host: invalid argument`,
        );
      }
      const stdio = stdioOf(request);
      const { events, memberships, logger } = this.#options;
      const membership = memberships.create(bundle);
      const task = new Task({ id, bundle, stdio, spec, ignoreIsolation, membership, events, logger });
      await task.create((pid) => events.created(id, pid, bundle, stdio));
      this.#tasks.set(id, task);
      return { pid: task.init.pid };
    } catch (error) {
      throw withPrefix(error, `create task ${id}`);
    } finally {
      this.#busy.delete(id);
    }
  }

  async start({ id, execId }: Request<'StartRequest'>): Promise<{ pid: number }> {
    try {
      return { pid: await this.#task(id).start(execId) };
    } catch (error) {
      if (error instanceof TaskError && error.message.startsWith('exec: '))
        throw withPrefix(error, `start ${execId || id}`);
      throw error;
    }
  }

  async delete({ id, execId }: Request<'DeleteRequest'>) {
    const task = this.#task(id);
    if (execId !== '') return deleteResponse(await task.deleteExec(execId));
    const exit = await task.delete();
    // Two deletes may have run side by side; the event is told once.
    if (this.#tasks.get(id) === task) {
      this.#tasks.delete(id);
      this.#options.events.deleted(id, task.init.pid, exit);
      task.forgetRecord();
    }
    return deleteResponse(task.init);
  }

  exec(request: Request<'ExecProcessRequest'>) {
    const { id, execId, spec } = request;
    const task = this.#task(id);
    if (execId === '') throw invalidArgument('exec id cannot be empty: invalid argument');
    if (!spec?.value?.length)
      throw invalidArgument(`exec ${execId}: the request has no process spec: invalid argument`);
    task.addExec(execId, stdioOf(request), Buffer.from(spec.value).toString());
    return {};
  }

  state({ id, execId }: Request<'StateRequest'>) {
    const task = this.#task(id);
    const process = task.process(execId);
    const { stdin, stdout, stderr, terminal } = process.stdio;
    return {
      id: process.id,
      execId,
      bundle: task.bundle,
      pid: process.pid,
      status: statusOf(task, process),
      stdin,
      stdout,
      stderr,
      terminal,
      exitStatus: process.exit?.status ?? 0,
      exitedAt: exitedAt(process.exit),
    };
  }

  async wait({ id, execId }: Request<'WaitRequest'>, context: CallContext) {
    const exit = await this.#task(id).process(execId).wait(context.signal);
    return { exitStatus: exit.status, exitedAt: exitedAt(exit) };
  }

  async kill({ id, execId, signal, all }: Request<'KillRequest'>) {
    await this.#task(id).kill(execId, signal, all);
    return {};
  }

  async pids({ id }: Request<'PidsRequest'>) {
    const task = this.#task(id);
    const execs = new Map([...task.execs].filter((exec) => exec.isAlive).map((exec) => [exec.pid, exec.id]));
    const processes = (await task.pids()).map((pid) => {
      const execId = execs.get(pid);
      if (execId === undefined) return { pid };
      const value = containerd.runc.v1.ProcessDetails.encode({ execId }).finish();
      return { pid, info: wireAny({ typeUrl: typeUrls.runcProcessDetails, value }) };
    });
    return { processes };
  }

  async pause({ id }: Request<'PauseRequest'>) {
    await this.#task(id).pause();
    return {};
  }

  async resume({ id }: Request<'ResumeRequest'>) {
    await this.#task(id).resume();
    return {};
  }

  checkpoint({ id }: Request<'CheckpointTaskRequest'>): never {
    this.#task(id);
    throw unimplemented(`${runtimeName} cannot checkpoint processes: not implemented`);
  }

  async update({ id, resources }: Request<'UpdateTaskRequest'>) {
    const task = this.#task(id);
    if (!resources?.value?.length) throw invalidArgument(`update ${id}: no resources are given: invalid argument`);
    const { parseLimits } = await import('./resource-limits.ts');
    await task.update(parseLimits(Buffer.from(resources.value).toString()));
    return {};
  }

  async stats({ id }: Request<'StatsRequest'>) {
    const task = this.#task(id);
    const { statsOf } = await import('./stats.ts');
    return { stats: wireAny(statsOf(await task.pids(), task.limits)) };
  }

  closeIo({ id, execId, stdin }: Request<'CloseIORequest'>) {
    const process = this.#task(id).process(execId);
    if (stdin) process.closeStdin();
    return {};
  }

  resizePty({ id, execId, width, height }: Request<'ResizePtyRequest'>) {
    this.#task(id).process(execId).resize(width, height);
    return {};
  }

  connect({ id }: Request<'ConnectRequest'>) {
    return { shimPid: process.pid, taskPid: this.#tasks.get(id)?.init.pid ?? 0, version: version() };
  }

  shutdown() {
    if (this.taskCount === 0 && !this.#options.isNeeded() && !this.#shuttingDown) {
      this.#shuttingDown = true;
      setImmediate(() => this.#options.onShutdown());
    }
    return {};
  }

  #task(id: string): Task {
    const task = this.#tasks.get(id);
    if (task === undefined) throw notFound('container not created: not found');
    return task;
  }
}

function deleteResponse(process: HostProcess) {
  return { pid: process.pid, exitStatus: process.exit?.status ?? 0, exitedAt: exitedAt(process.exit) };
}

function statusOf(task: Task, process: HostProcess): number {
  switch (process.state) {
    case 'running':
      return task.paused ? Status.PAUSED : Status.RUNNING;
    case 'stopped':
      return Status.STOPPED;
    default:
      return Status.CREATED;
  }
}

function stdioOf({
  stdin,
  stdout,
  stderr,
  terminal,
}: {
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
}) {
  return { stdin, stdout, stderr, terminal };
}

async function readConfig(bundle: string): Promise<string> {
  try {
    return await readFile(path.join(bundle, 'config.json'), 'utf8');
  } catch (error) {
    throw TaskError.from(error, 'read the spec');
  }
}

function withPrefix(error: unknown, prefix: string): TaskError {
  const { code, message } = TaskError.from(error);
  return message.startsWith(prefix) || code === 'ALREADY_EXISTS'
    ? TaskError.from(error)
    : new TaskError(code, `${prefix}: ${message}`, { cause: error });
}
