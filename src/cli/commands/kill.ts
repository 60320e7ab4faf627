import { hasCode } from '../../shared/errors/index.ts';
import { containersDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import { type Namespace, parseExecId, parseTaskId } from '../../shared/identifiers.ts';
import { restartLabels } from '../../shared/restart-labels.ts';
import type { Daemon } from '../client/daemon.ts';
import { defineCommand } from '../command.ts';
import { restartView } from '../container/restart-view.ts';
import { forEach } from '../each.ts';
import { flag, value } from '../option.ts';
import { parseSignal } from '../parse.ts';

const sigterm = 15;
/** INT, QUIT, KILL and TERM. */
const endingSignals = new Set([2, 3, 9, sigterm]);

export const kill = defineCommand({
  description:
    'Sends a signal to the first process of each task. A first process ignores every signal that it does not handle, ' +
    "but KILL and STOP. A service comes back with its policy 'always' or 'on-failure'; with 'unless-stopped' not, where " +
    "the signal is TERM, INT, QUIT or KILL. 'shimd stop' ends either for good.",
  arguments: [{ name: '<id...>', summary: 'ids of the containers' }],
  options: {
    signal: value('-s, --signal <signal>', 'name or number', parseSignal, { default: 'TERM' }),
    all: flag('-a, --all', 'to every process of the task'),
    exec: value('--exec-id <id>', 'to this exec instead of the first process', parseExecId),
  },
  examples: [
    ['shimd kill web', 'asks the task to end'],
    ['shimd kill -s KILL -a web', 'ends all of it'],
  ],
  json: false,

  async run(context, options, ids) {
    const daemon = await context.daemon();
    const signal = options.signal ?? sigterm;
    const { status } = await forEach(context, ids, async (id) => {
      const task = parseTaskId(id);
      if (options.exec === undefined && endingSignals.has(signal)) await noteStop(daemon, context.namespace, task);
      await daemon.call(tasksDefinition.kill, context.namespace, {
        containerId: task,
        execId: options.exec ?? '',
        signal,
        all: options.all,
      });
    });
    return status;
  },
});

/** To such a service a user's signal is a stop. Before the signal: the end is looked at when it comes. */
async function noteStop(daemon: Daemon, namespace: Namespace, id: string): Promise<void> {
  try {
    const { container } = await daemon.call(containersDefinition.get, namespace, { id });
    if (restartView(container?.labels)?.policy !== 'unless-stopped') return;
    const label = restartLabels.explicitlyStopped;
    await daemon.call(containersDefinition.update, namespace, {
      container: { id, labels: { [label]: 'true' } },
      updateMask: { paths: [`labels.${label}`] },
    });
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
  }
}
