import path from 'node:path';
import { absent, type Filter, parseFilters, presentUnlessEmpty } from '../events/filter/index.ts';
import { hasCode, invalidArgument } from '../shared/errors/index.ts';
import { tasksDefinition } from '../shared/grpc/index.ts';
import type { TaskRef } from '../shared/identifiers.ts';
import type { Logger } from '../shared/log/logger.ts';
import { plainAny } from '../shared/wire/any.ts';
import type { ContainerStore, SandboxStore } from '../store/index.ts';
import { type Service, unary } from './binding.ts';
import {
  checkpointDirectory,
  checkpointEnds,
  checkpointPath,
  restorePath,
  rootfsDiffName,
} from './checkpoint-options.ts';
import { collectMetrics } from './metrics.ts';
import { membershipOf } from './sandbox-membership.ts';
import type { ServiceKeeper } from './service-keeper.ts';
import type { TaskManager, TaskProcess } from './task-manager.ts';
import { writeDelete, writeProcess, writeProcessInfo, writeWait } from './task-messages.ts';
import { parseExec, parseMounts, parseProcess, parseRuntimePath, parseStdio, parseTask } from './task-requests.ts';

export interface TasksServiceOptions {
  readonly tasks: TaskManager;
  readonly services: ServiceKeeper;
  readonly containers: ContainerStore;
  readonly sandboxes: Pick<SandboxStore, 'find'>;
  readonly logger: Logger;
}

/**
 * `containerd.services.tasks.v1.Tasks`. A task can be used as long as the supervisor has it, also after its container's
 * metadata is gone.
 */
export function tasksService({
  tasks,
  services,
  containers,
  sandboxes,
  logger,
}: TasksServiceOptions): Service<typeof tasksDefinition> {
  /** Says that there is no container rather than no task, where that is so. */
  const of = async <T>({ namespace, task }: TaskRef, call: Promise<T>): Promise<T> => {
    try {
      return await call;
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND') && !(await isKnown({ namespace, task }))) containers.get(namespace, task);
      throw error;
    }
  };
  const isKnown = (task: TaskRef): Promise<boolean> =>
    tasks.get(task).then(
      () => true,
      (error: unknown) => !hasCode(error, 'NOT_FOUND'),
    );

  return {
    create: unary(tasksDefinition.create, async (request, context) => {
      const task = parseTask(context.namespace(), request.containerId);
      const container = containers.get(task.namespace, task.task);
      const options = plainAny(request.options) ?? container.runtime.options;
      const directory = checkpointDirectory(request);
      const checkpoint = directory || restorePath(options);
      // A restore takes its time, in which the task is neither what a service shall be nor what it was.
      if (checkpoint !== '') services.hold(task);
      const sandbox = membershipOf(task.namespace, container.sandbox, request, options, sandboxes);
      const { pid } = await tasks.create(
        task,
        {
          runtime: parseRuntimePath(request.runtimePath, container.runtime.name),
          spec: container.spec.value,
          rootfs: parseMounts(request.rootfs),
          stdio: parseStdio(request),
          ...(options === undefined ? {} : { options }),
          ...(checkpoint === '' ? {} : { checkpoint }),
          ...(directory === '' ? {} : { rootfsDiff: path.join(path.dirname(directory), rootfsDiffName) }),
          ...(sandbox === undefined ? {} : { sandbox }),
        },
        context.limits,
      );
      if (directory === '') return { containerId: task.task, pid };
      // Who restores from a directory is given a task that runs; whoever cannot have that is left with none.
      services.hold(task);
      try {
        return { containerId: task.task, pid: (await tasks.start(task, context.limits)).pid };
      } catch (error) {
        await tasks.destroy(task).catch(() => undefined);
        throw error;
      }
    }),

    start: unary(tasksDefinition.start, async (request, context) => {
      const process = parseProcess(context.namespace(), request);
      return { pid: (await of(process, tasks.start(process, context.limits))).pid };
    }),

    delete: unary(tasksDefinition.delete, async (request, context) => {
      const task = parseTask(context.namespace(), request.containerId);
      services.hold(task);
      return writeDelete(await of(task, tasks.delete(task, context.limits)));
    }),

    deleteProcess: unary(tasksDefinition.deleteProcess, async (request, context) => {
      const task = parseTask(context.namespace(), request.containerId);
      const exec = parseExec(request.execId);
      return { ...writeDelete(await of(task, tasks.delete({ ...task, exec }, context.limits))), id: exec };
    }),

    get: unary(tasksDefinition.get, async (request, context) => {
      const process = parseProcess(context.namespace(), request);
      return { process: writeProcess(await of(process, tasks.get(process, context.limits))) };
    }),

    list: unary(tasksDefinition.list, async (request, context) => {
      const filter = parseFilters(request.filter === '' ? [] : [request.filter]);
      const found = await tasks.list(context.namespace(), context.limits);
      return { tasks: found.filter((process) => matches(process, filter)).map(writeProcess) };
    }),

    kill: unary(tasksDefinition.kill, async (request, context) => {
      const process = parseProcess(context.namespace(), request);
      const { signal, all } = request;
      await of(process, tasks.kill(process, { signal, all }, context.limits));
      return {};
    }),

    exec: unary(tasksDefinition.exec, async (request, context) => {
      const exec = parseExec(request.execId);
      const task = parseTask(context.namespace(), request.containerId);
      const spec = plainAny(request.spec);
      if (!spec) throw invalidArgument(`exec ${exec} has no spec: invalid argument`);
      await of(task, tasks.exec(task, exec, { stdio: parseStdio(request), spec }, context.limits));
      return {};
    }),

    resizePty: unary(tasksDefinition.resizePty, async (request, context) => {
      const process = parseProcess(context.namespace(), request);
      const { width, height } = request;
      await of(process, tasks.resize(process, { width, height }, context.limits));
      return {};
    }),

    closeIO: unary(tasksDefinition.closeIO, async (request, context) => {
      const process = parseProcess(context.namespace(), request);
      await of(process, tasks.closeIo(process, { stdin: request.stdin }, context.limits));
      return {};
    }),

    pause: unary(tasksDefinition.pause, async (request, context) => {
      const task = parseTask(context.namespace(), request.containerId);
      await of(task, tasks.pause(task, context.limits));
      return {};
    }),

    resume: unary(tasksDefinition.resume, async (request, context) => {
      const task = parseTask(context.namespace(), request.containerId);
      await of(task, tasks.resume(task, context.limits));
      return {};
    }),

    listPids: unary(tasksDefinition.listPids, async (request, context) => {
      const task = parseTask(context.namespace(), request.containerId);
      return { processes: (await of(task, tasks.pids(task, context.limits))).map(writeProcessInfo) };
    }),

    checkpoint: unary(tasksDefinition.checkpoint, async (request, context) => {
      const task = parseTask(context.namespace(), request.containerId);
      const options = plainAny(request.options);
      const directory = checkpointPath(options);
      // A service whose checkpoint ends it does not come back before its client has said what shall become of it.
      services.hold(task);
      const exit = checkpointEnds(options);
      const checkpoint = { path: directory, exit, ...(options === undefined ? {} : { options }) };
      await of(task, tasks.checkpoint(task, checkpoint, context.limits)).finally(() => services.hold(task));
      return {};
    }),

    update: unary(tasksDefinition.update, async (request, context) => {
      const task = parseTask(context.namespace(), request.containerId);
      const resources = plainAny(request.resources);
      if (!resources) throw invalidArgument(`update of task ${task.task} has no resources: invalid argument`);
      await of(task, tasks.update(task, { resources, annotations: { ...request.annotations } }, context.limits));
      return {};
    }),

    metrics: unary(tasksDefinition.metrics, async (request, context) => {
      const filter = parseFilters(request.filters);
      const found = await tasks.list(context.namespace(), context.limits);
      const wanted = found.filter((process) => matches(process, filter));
      return { metrics: await collectMetrics(tasks, wanted, context.limits, logger) };
    }),

    wait: unary(
      tasksDefinition.wait,
      async (request, context) => {
        const process = parseProcess(context.namespace(), request);
        return writeWait(await of(process, tasks.wait(process, context.limits)));
      },
      { endless: true },
    ),
  };
}

function matches(process: TaskProcess, filter: Filter): boolean {
  return filter.match(([field]) => {
    switch (field) {
      case 'id':
        return presentUnlessEmpty(process.task);
      case 'namespace':
        return presentUnlessEmpty(process.namespace);
      case 'runtime':
        return presentUnlessEmpty(process.runtime);
      case 'status':
        return presentUnlessEmpty(process.status);
      default:
        return absent;
    }
  });
}
