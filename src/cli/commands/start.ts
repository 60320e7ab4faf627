import { adminDefinition, containersDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import { type Namespace, parseTaskId } from '../../shared/identifiers.ts';
import { unattendedStdio } from '../attach/stdio.ts';
import type { Daemon } from '../client/daemon.ts';
import { defineCommand } from '../command.ts';
import { keepRunning, removeEnded } from '../container/again.ts';
import { lastLog, restartView } from '../container/restart-view.ts';
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
