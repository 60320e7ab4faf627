import { hasCode, notFound } from '../../shared/errors/index.ts';
import { containersDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import { type Namespace, parseTaskId } from '../../shared/identifiers.ts';
import type { Daemon } from '../client/daemon.ts';
import { defineCommand } from '../command.ts';
import { restartError, restartView } from '../container/restart-view.ts';
import { isoTime, taskView } from '../container/task-view.ts';
import { jsonLine } from '../context.ts';
import { forEach } from '../each.ts';

export const inspect = defineCommand({
  description:
    'Prints a JSON array with the record of each container, its spec, its task and the pids of its processes.',
  arguments: [{ name: '<id...>', summary: 'ids of the containers' }],
  options: {},
  examples: [
    ['shimd inspect web', 'indented, for people'],
    ["shimd inspect --json web | jq '.[0].task.pid'", 'on one line, for programs'],
  ],
  json: true,

  async run(context, _, ids) {
    const daemon = await context.daemon();
    const { outcomes, status } = await forEach(context, ids, (id) =>
      describe(daemon, context.namespace, parseTaskId(id)),
    );
    const found = outcomes.flatMap((outcome) => ('result' in outcome ? [outcome.result] : []));
    context.print(context.json ? jsonLine(found) : `${JSON.stringify(found, undefined, 2)}\n`);
    return status;
  },
});

async function describe(daemon: Daemon, namespace: Namespace, id: string): Promise<object> {
  const [container, task, pids] = await Promise.all([
    unlessMissing(containerOf(daemon, namespace, id)),
    unlessMissing(daemon.call(tasksDefinition.get, namespace, { containerId: id })),
    daemon.call(tasksDefinition.listPids, namespace, { containerId: id }).catch(() => undefined),
  ]);
  if (container === undefined && task === undefined) {
    throw notFound(`container "${id}" in namespace "${namespace}": not found`);
  }
  return {
    namespace,
    id,
    ...container,
    task: task?.process ? taskView(task.process) : undefined,
    pids: pids?.processes.map((process) => process.pid ?? 0),
  };
}

async function containerOf(daemon: Daemon, namespace: Namespace, id: string): Promise<object> {
  const { container } = await daemon.call(containersDefinition.get, namespace, { id });
  const restart = restartView(container?.labels);
  return {
    labels: container?.labels ?? {},
    restart: restart === undefined ? undefined : { ...restart, error: restartError(container?.extensions) },
    image: container?.image || undefined,
    runtime: container?.runtime?.name ?? '',
    snapshotter: container?.snapshotter || undefined,
    snapshotKey: container?.snapshotKey || undefined,
    sandbox: container?.sandbox || undefined,
    createdAt: isoTime(container?.createdAt),
    updatedAt: isoTime(container?.updatedAt),
    spec: parsedOrText(container?.spec?.value),
  };
}

/** A spec is JSON by convention only. */
function parsedOrText(value: Uint8Array | null | undefined): unknown {
  const text = Buffer.from(value ?? []).toString();
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function unlessMissing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}
