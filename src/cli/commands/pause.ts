import { tasksDefinition } from '../../shared/grpc/index.ts';
import { parseTaskId } from '../../shared/identifiers.ts';
import { defineCommand } from '../command.ts';
import { forEach } from '../each.ts';

const ids = [{ name: '<id...>', summary: 'ids of the containers' }] as const;

export const pause = defineCommand({
  description: 'Freezes all processes of each task, until resume.',
  arguments: ids,
  options: {},
  examples: [['shimd pause web', 'freezes it']],
  json: false,

  async run(context, _, ids) {
    const daemon = await context.daemon();
    const { status } = await forEach(context, ids, (id) =>
      daemon.call(tasksDefinition.pause, context.namespace, { containerId: parseTaskId(id) }),
    );
    return status;
  },
});

export const resume = defineCommand({
  description: 'Lets the processes of each paused task go on.',
  arguments: ids,
  options: {},
  examples: [['shimd resume web', 'lets it go on']],
  json: false,

  async run(context, _, ids) {
    const daemon = await context.daemon();
    const { status } = await forEach(context, ids, (id) =>
      daemon.call(tasksDefinition.resume, context.namespace, { containerId: parseTaskId(id) }),
    );
    return status;
  },
});
