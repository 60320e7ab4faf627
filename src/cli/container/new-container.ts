import { hasCode, TaskError } from '../../shared/errors/index.ts';
import { adminDefinition, containersDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import type { Namespace } from '../../shared/identifiers.ts';
import type { Stdio } from '../../shared/messages/index.ts';
import type { Spec } from '../../shared/oci/spec.ts';
import { typeUrls, wireAny } from '../../shared/wire/any.ts';
import type { Daemon } from '../client/daemon.ts';
import { whileUnavailable } from '../client/retry.ts';
import { DaemonNotReached } from '../client/service-error.ts';

/** A create may start a shim (30 s) before it creates (60 s). */
const createTimeout = 100_000;
/** How long removing goes on against a daemon that is restarting, in milliseconds. */
const removeBudget = 15_000;

/** A failure that left something behind, with how to remove it in the message. */
export class LeftoverError extends TaskError {}

export interface NewContainer {
  readonly namespace: Namespace;
  readonly id: string;
  /** Whether nobody else can have the id: then it is ours to remove even where the daemon's answer got lost. */
  readonly idIsOurs: boolean;
  readonly runtime: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Empty where it belongs to none. */
  readonly sandbox: string;
  readonly spec: Spec;
}

/** Stores the container, then creates its task. Throws where either fails, and nothing of the two is left then. */
export async function createContainerAndTask(
  daemon: Daemon,
  container: NewContainer,
  stdio: Stdio,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { namespace, id, sandbox } = container;
  const spec = wireAny({ typeUrl: typeUrls.spec, value: Buffer.from(JSON.stringify(container.spec)) });
  try {
    await daemon.call(
      containersDefinition.create,
      namespace,
      { container: { id, labels: { ...container.labels }, runtime: { name: container.runtime }, spec, sandbox } },
      { signal },
    );
  } catch (error) {
    const unanswered =
      hasCode(error, 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED') && !(error instanceof DaemonNotReached);
    if (unanswered && container.idIsOurs) await removeQuietly(daemon, namespace, id, error);
    throw error;
  }
  try {
    await daemon.call(
      tasksDefinition.create,
      namespace,
      { containerId: id, ...stdio },
      { signal, timeout: createTimeout },
    );
  } catch (error) {
    await removeQuietly(daemon, namespace, id, error);
    throw error;
  }
}

/** Removes a task that has ended, and the container; that they are gone is success. */
export async function removeEndedContainer(daemon: Daemon, namespace: Namespace, id: string): Promise<void> {
  await whileUnavailable(removeBudget, () =>
    unlessNotFound(daemon.call(tasksDefinition.delete, namespace, { containerId: id })),
  );
  await removeContainer(daemon, namespace, id);
}

/** Ends and removes the task and the container, whatever state they are in; that they are gone is success. */
export async function removeContainerAndTask(daemon: Daemon, namespace: Namespace, id: string): Promise<void> {
  await whileUnavailable(removeBudget, () =>
    unlessNotFound(daemon.call(adminDefinition.deleteTask, namespace, { containerId: id, force: true })),
  );
  await removeContainer(daemon, namespace, id);
}

async function removeContainer(daemon: Daemon, namespace: Namespace, id: string): Promise<void> {
  await whileUnavailable(removeBudget, () =>
    unlessNotFound(daemon.call(containersDefinition.delete, namespace, { id })),
  );
}

/** Removes what a failed attempt has left; where that fails too, throws LeftoverError with both reasons. */
export async function removeQuietly(daemon: Daemon, namespace: Namespace, id: string, reason: unknown): Promise<void> {
  try {
    await removeContainerAndTask(daemon, namespace, id);
  } catch (error) {
    const first = TaskError.from(reason);
    const second = TaskError.from(error);
    throw new LeftoverError(
      first.code,
      `${first.message}; what was made so far could not be removed (${second.message}), do it with 'shimd rm -f ${id}'`,
      { cause: reason },
    );
  }
}

async function unlessNotFound(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
  }
}
