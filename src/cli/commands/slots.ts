import { adminDefinition } from '../../shared/grpc/index.ts';
import { defineCommand } from '../command.ts';
import { jsonLine } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { UsageError } from '../failure.ts';
import { table } from '../output/table.ts';

export const slots = defineCommand({
  description:
    "Lists the daemon's slots: each is one worker thread and the shims that it owns. 'restart' ends the thread of one " +
    'slot; the thread that replaces it takes over its shims, and no task notices.',
  arguments: [
    { name: '[action]', summary: "'restart', or nothing to list" },
    { name: '[slot]', summary: 'number of the slot to restart' },
  ],
  options: {},
  examples: [
    ['shimd slots', 'load and restarts of each'],
    ['shimd slots restart 0', 'replaces a thread that hangs'],
  ],
  json: true,

  async run(context, _, [action, slot]) {
    if (action !== undefined && action !== 'restart') {
      throw new UsageError(`unknown action '${action}'; the only one is 'restart'`);
    }
    if (action === 'restart' && !/^\d{1,6}$/.test(slot ?? '')) {
      throw new UsageError("name the slot's number, as in 'shimd slots restart 0'");
    }
    const daemon = await context.daemon();
    if (action === 'restart') {
      await daemon.call(adminDefinition.restartSlot, context.namespace, { id: Number(slot) });
      return exitStatus.ok;
    }
    const answer = await daemon.call(adminDefinition.listSlots, context.namespace, {});
    const lines = answer.slots.map((entry) => ({
      slot: entry.id ?? 0,
      state: entry.state ?? '',
      shims: entry.shims ?? 0,
      tasks: entry.tasks ?? 0,
      operations: entry.operations ?? 0,
      restarts: entry.restarts ?? 0,
    }));
    const headings = ['SLOT', 'STATE', 'SHIMS', 'TASKS', 'OPERATIONS', 'RESTARTS'];
    context.print(
      context.json
        ? jsonLine(lines)
        : table(
            headings,
            lines.map((line) => Object.values(line).map(String)),
          ),
    );
    return exitStatus.ok;
  },
});
