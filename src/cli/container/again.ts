import { hasCode, TaskError } from '../../shared/errors/index.ts';
import { containersDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import type { Namespace } from '../../shared/identifiers.ts';
import { restartLabels } from '../../shared/restart-labels.ts';
import type { Daemon } from '../client/daemon.ts';
import { taskView } from './task-view.ts';

/** Deletes a task that has ended; resolves with the log that it wrote to. Throws where it runs. */
export async function removeEnded(daemon: Daemon, namespace: Namespace, id: string): Promise<string | undefined> {
  try {
    const { process } = await daemon.call(tasksDefinition.get, namespace, { containerId: id });
    const task = process ? taskView(process) : undefined;
    if (task !== undefined && ['running', 'paused', 'pausing'].includes(task.status)) {
      throw new TaskError(
        'FAILED_PRECONDITION',
        `${id} has a task that is ${task.status}; end it with 'shimd stop ${id}' first`,
      );
    }
    await daemon.call(tasksDefinition.delete, namespace, { containerId: id });
    return isLog(task?.stdout) ? task?.stdout : undefined;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

function isLog(target: string | undefined): boolean {
  return target?.startsWith('file:') === true || target?.startsWith('binary:') === true;
}

/** A service that was stopped is one again, and its restarts are counted anew. */
export async function keepRunning(daemon: Daemon, namespace: Namespace, id: string): Promise<void> {
  const { status, explicitlyStopped, count } = restartLabels;
  await daemon.call(containersDefinition.update, namespace, {
    // A label without a value is removed.
    container: { id, labels: { [status]: 'running', [explicitlyStopped]: '', [count]: '' } },
    updateMask: { paths: [status, explicitlyStopped, count].map((label) => `labels.${label}`) },
  });
}
