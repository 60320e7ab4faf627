import { hasCode, TaskError } from '../../shared/errors/index.ts';
import { adminDefinition, containersDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import { type Namespace, parseTaskId } from '../../shared/identifiers.ts';
import { restartLabels } from '../../shared/restart-labels.ts';
import { unattendedStdio } from '../attach/stdio.ts';
import type { Daemon } from '../client/daemon.ts';
import { defineCommand } from '../command.ts';
import { lastLog, restartView } from '../container/restart-view.ts';
import { taskView } from '../container/task-view.ts';
import { forEach } from '../each.ts';

/** A create may start a shim (30 s) before it creates (60 s). */
const createTimeout = 100_000;

export const start = defineCommand({
  description:
    'Runs the commands of containers that have ended again, each in a new task and in the background. Output goes to the ' +
    'log file that it went to before, and nowhere where it went to a client. A service that was stopped is kept running ' +
    'again, and its restarts are counted anew.',
  arguments: [{ name: '<id...>', summary: 'ids of the containers' }],
  options: {},
  examples: [['shimd start web', 'brings a service back that was stopped']],
  json: false,

  async run(context, _, ids) {
    const daemon = await context.daemon();
    const { status } = await forEach(context, ids, (id) => startAgain(daemon, context.namespace, parseTaskId(id)));
    return status;
  },
});

async function startAgain(daemon: Daemon, namespace: Namespace, id: string): Promise<void> {
  const { container } = await daemon.call(containersDefinition.get, namespace, { id });
  const ended = await removeEnded(daemon, namespace, id);
  // Never out of a label, which may be an image's: what a task has written to before was somebody's own choice.
  const log = ended ?? lastLog(container?.extensions);
  await daemon.call(
    tasksDefinition.create,
    namespace,
    { containerId: id, ...unattendedStdio(log) },
    { timeout: createTimeout },
  );
  try {
    await daemon.call(tasksDefinition.start, namespace, { containerId: id });
  } catch (error) {
    await daemon.call(adminDefinition.deleteTask, namespace, { containerId: id, force: true });
    throw error;
  }
  if (restartView(container?.labels) !== undefined) await keepRunning(daemon, namespace, id);
}

/** Deletes a task that has ended; resolves with the log that it wrote to. Throws where it runs. */
async function removeEnded(daemon: Daemon, namespace: Namespace, id: string): Promise<string | undefined> {
  try {
    const { process } = await daemon.call(tasksDefinition.get, namespace, { containerId: id });
    const task = process ? taskView(process) : undefined;
    if (task !== undefined && ['running', 'paused', 'pausing'].includes(task.status)) {
      throw new TaskError('FAILED_PRECONDITION', `cannot start ${id}: its task is ${task.status}`);
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

async function keepRunning(daemon: Daemon, namespace: Namespace, id: string): Promise<void> {
  const { status, explicitlyStopped, count } = restartLabels;
  await daemon.call(containersDefinition.update, namespace, {
    // A label without a value is removed.
    container: { id, labels: { [status]: 'running', [explicitlyStopped]: '', [count]: '' } },
    updateMask: { paths: [status, explicitlyStopped, count].map((label) => `labels.${label}`) },
  });
}
