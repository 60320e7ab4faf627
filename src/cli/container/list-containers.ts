import { hasCode } from '../../shared/errors/index.ts';
import { containersDefinition, namespacesDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import { type Namespace, parseNamespace } from '../../shared/identifiers.ts';
import type { Daemon } from '../client/daemon.ts';
import { parseSpec } from './parse-spec.ts';
import { type RestartView, restartView } from './restart-view.ts';
import { isoTime, type TaskView, taskView } from './task-view.ts';

/** A line of `ps`. */
export interface ContainerLine {
  readonly namespace: string;
  readonly id: string;
  readonly runtime: string;
  readonly command: readonly string[];
  /** ISO 8601. */
  readonly createdAt: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Absent where the container is no service. */
  readonly restart: RestartView | undefined;
  /** Absent where the container has no task. */
  readonly task: TaskView | undefined;
}

const listTimeout = 30_000;

export async function namespacesOf(daemon: Daemon, asking: Namespace): Promise<Namespace[]> {
  const { namespaces } = await daemon.call(namespacesDefinition.list, asking, {}, { timeout: listTimeout });
  return namespaces.map((namespace) => parseNamespace(namespace.name ?? ''));
}

/** The containers of a namespace with their tasks, by id. */
export async function listContainers(daemon: Daemon, namespace: Namespace): Promise<ContainerLine[]> {
  const limits = { timeout: listTimeout };
  const [tasks, containers] = await Promise.all([
    daemon.call(tasksDefinition.list, namespace, {}, limits),
    collectContainers(daemon, namespace),
  ]);
  const taskOf = new Map(tasks.tasks.map((task) => [task.containerId || task.id || '', taskView(task)]));
  const lines = containers.map((container): ContainerLine => {
    const id = container.id ?? '';
    return {
      namespace,
      id,
      runtime: container.runtime?.name ?? '',
      command: commandOf(container.spec?.value),
      createdAt: isoTime(container.createdAt),
      labels: container.labels ?? {},
      restart: restartView(container.labels),
      task: taskOf.get(id),
    };
  });
  const known = new Set(lines.map((line) => line.id));
  // A task without a container is made by no client, but may be left by one that died at the wrong moment.
  const orphans = [...taskOf].filter(([id]) => !known.has(id));
  const extra = orphans.map(([id, task]): ContainerLine => {
    return { namespace, id, runtime: '', command: [], createdAt: undefined, labels: {}, restart: undefined, task };
  });
  return [...lines, ...extra].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** In a stream, which has no limit as a whole; in one message where the daemon does not know streams. */
async function collectContainers(daemon: Daemon, namespace: Namespace) {
  type Container = NonNullable<Awaited<ReturnType<typeof oneMessage>>[number]>;
  const oneMessage = async () =>
    (await daemon.call(containersDefinition.list, namespace, {}, { timeout: listTimeout })).containers;
  try {
    const containers: Container[] = [];
    const signal = AbortSignal.timeout(listTimeout);
    for await (const { container } of daemon.stream(containersDefinition.listStream, namespace, {}, signal)) {
      if (container) containers.push(container);
    }
    signal.throwIfAborted();
    return containers;
  } catch (error) {
    if (hasCode(error, 'UNIMPLEMENTED')) return oneMessage();
    throw error;
  }
}

function commandOf(spec: Uint8Array | null | undefined): readonly string[] {
  try {
    return parseSpec(Buffer.from(spec ?? []).toString(), 'spec').process.args;
  } catch {
    // Another client's container may have a spec that is not ours to judge.
    return [];
  }
}
