import { tasksDefinition } from '../../shared/grpc/index.ts';
import { parseExecId, parseTaskId } from '../../shared/identifiers.ts';
import { defineCommand } from '../command.ts';
import { forEach } from '../each.ts';
import { flag, value } from '../option.ts';
import { parseSignal } from '../parse.ts';

const sigterm = 15;

export const kill = defineCommand({
  description:
    'Sends a signal to the first process of each task. A first process ignores every signal that it does not handle, ' +
    'but KILL and STOP.',
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
    const { status } = await forEach(context, ids, (id) =>
      daemon.call(tasksDefinition.kill, context.namespace, {
        containerId: parseTaskId(id),
        execId: options.exec ?? '',
        signal: options.signal ?? sigterm,
        all: options.all,
      }),
    );
    return status;
  },
});
