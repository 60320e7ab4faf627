import { adminDefinition } from '../../shared/grpc/index.ts';
import { plainInteger } from '../../shared/wire/integer.ts';
import { defineCommand } from '../command.ts';
import { jsonLine } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { UsageError } from '../failure.ts';
import { table } from '../output/table.ts';

interface WireVitals {
  readonly delayP99?: number | null;
  readonly delayMax?: number | null;
  readonly heap?: unknown;
}

/** A thread that has just begun has none. */
function vitalsOf(vitals: WireVitals | null | undefined) {
  if (!vitals) return { delayP99: undefined, delayMax: undefined, heap: undefined };
  return { delayP99: vitals.delayP99 ?? 0, delayMax: vitals.delayMax ?? 0, heap: plainInteger(vitals.heap) };
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '' : `${value.toFixed(1)} ms`;
}

export const slots = defineCommand({
  description:
    "Lists the daemon's slots: each is one worker thread and the shims that it owns. 'restart' ends the thread of one " +
    "slot; the thread that replaces it takes over its shims, and no task notices. DELAY is how late the thread's event loop was " +
    'in the last seconds, HEAP what its JavaScript holds; the last line is the main thread.',
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
      ...vitalsOf(entry.vitals),
    }));
    const main = { slot: 'main', state: 'ready', shims: '', tasks: '', operations: '', restarts: '' };
    const rows = [...lines, { ...main, ...vitalsOf(answer.main) }];
    const headings = ['SLOT', 'STATE', 'SHIMS', 'TASKS', 'OPERATIONS', 'RESTARTS', 'DELAY P99', 'DELAY MAX', 'HEAP'];
    context.print(
      context.json
        ? jsonLine(lines)
        : table(
            headings,
            rows.map(({ delayP99, delayMax, heap, ...line }) => [
              ...Object.values(line).map(String),
              milliseconds(delayP99),
              milliseconds(delayMax),
              heap === undefined ? '' : `${(heap / 2 ** 20).toFixed(1)} MB`,
            ]),
          ),
    );
    return exitStatus.ok;
  },
});
