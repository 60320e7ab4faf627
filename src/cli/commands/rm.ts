import { hasCode, notFound, TaskError } from '../../shared/errors/index.ts';
import { containersDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import { type Namespace, parseTaskId } from '../../shared/identifiers.ts';
import type { Daemon } from '../client/daemon.ts';
import { defineCommand } from '../command.ts';
import { removeContainerAndTask } from '../container/new-container.ts';
import { taskView } from '../container/task-view.ts';
import { jsonLine } from '../context.ts';
import { forEach, outcomesAsData } from '../each.ts';
import { flag } from '../option.ts';

export const rm = defineCommand({
  description:
    'Removes containers that have ended, with their tasks. With --force running ones too: the task is killed, and one ' +
    'whose shim does not answer is removed all the same; what does not exist is then no error.',
  arguments: [{ name: '<id...>', summary: 'ids of the containers' }],
  options: { force: flag('-f, --force', 'whatever their state') },
  examples: [
    ['shimd rm job-1 job-2', 'removes two that have ended'],
    ['shimd rm -f web', 'ends and removes it'],
  ],
  json: true,

  async run(context, options, ids) {
    const daemon = await context.daemon();
    const remove = options.force ? removeContainerAndTask : removeEnded;
    const { outcomes, status } = await forEach(context, ids, async (id) => {
      await remove(daemon, context.namespace, parseTaskId(id));
      return { removed: true };
    });
    if (context.json) context.print(jsonLine(outcomesAsData(outcomes)));
    return status;
  },
});

async function removeEnded(daemon: Daemon, namespace: Namespace, id: string): Promise<void> {
  const hadTask = await removeEndedTask(daemon, namespace, id);
  try {
    await daemon.call(containersDefinition.delete, namespace, { id });
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
    if (!hadTask) throw notFound(`container "${id}" in namespace "${namespace}": not found`);
  }
}

/** Resolves with false where there was no task. */
async function removeEndedTask(daemon: Daemon, namespace: Namespace, id: string): Promise<boolean> {
  try {
    const { process } = await daemon.call(tasksDefinition.get, namespace, { containerId: id });
    const status = process ? taskView(process).status : 'unknown';
    if (status === 'running' || status === 'paused' || status === 'pausing') {
      throw new TaskError(
        'FAILED_PRECONDITION',
        `cannot remove ${id}: its task is ${status}; end it with 'shimd kill ${id}', or remove it with 'shimd rm -f ${id}'`,
      );
    }
    await daemon.call(tasksDefinition.delete, namespace, { containerId: id });
    return true;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return false;
    throw error;
  }
}
