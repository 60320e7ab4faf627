import { adminDefinition } from '../../shared/grpc/index.ts';
import { defineCommand } from '../command.ts';
import { jsonLine } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { table } from '../output/table.ts';

export const shims = defineCommand({
  description: 'Lists the shims of all namespaces: the processes between the daemon and the tasks.',
  arguments: [],
  options: {},
  examples: [['shimd shims', 'where each runs, and how many tasks it has']],
  json: true,

  async run(context) {
    const daemon = await context.daemon();
    const answer = await daemon.call(adminDefinition.listShims, context.namespace, {});
    const lines = answer.shims.map((shim) => ({
      namespace: shim.namespace ?? '',
      id: shim.id ?? '',
      pid: shim.pid ?? 0,
      placement: shim.placement ?? '',
      tasks: shim.tasks ?? 0,
      slot: shim.slot ?? 0,
      api: `${shim.protocol ?? ''} v${shim.apiVersion ?? 0}`,
      binary: shim.binary ?? '',
      address: shim.address ?? '',
    }));
    const headings = ['NAMESPACE', 'ID', 'PID', 'PLACEMENT', 'TASKS', 'SLOT', 'API', 'BINARY', 'ADDRESS'];
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
