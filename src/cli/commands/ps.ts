import { defineCommand } from '../command.ts';
import { type ContainerLine, listContainers, namespacesOf } from '../container/list-containers.ts';
import { jsonLine } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { flag } from '../option.ts';
import { age } from '../output/age.ts';
import { type Paint, painter } from '../output/colour.ts';
import { printable } from '../output/printable.ts';
import { table } from '../output/table.ts';

const longestCommand = 40;

export const ps = defineCommand({
  description: 'Lists the containers of the namespace with the state of their tasks, ended ones too.',
  arguments: [],
  options: {
    all: flag('-a, --all', 'of all namespaces'),
    quiet: flag('-q, --quiet', 'ids only, one a line'),
  },
  examples: [
    ['shimd ps', 'the containers of the namespace'],
    ['shimd ps -a --json', 'of all namespaces, as data'],
    ['shimd rm -f $(shimd ps -q)', 'removes them all'],
  ],
  json: true,

  async run(context, options) {
    const daemon = await context.daemon();
    const namespaces = options.all ? await namespacesOf(daemon, context.namespace) : [context.namespace];
    const lines = (await Promise.all(namespaces.map((namespace) => listContainers(daemon, namespace)))).flat();
    if (context.json) context.print(jsonLine(lines));
    else if (options.quiet) context.print(lines.map((line) => `${line.id}\n`).join(''));
    else
      context.print(
        containerTable(lines, { withNamespace: options.all, now: Date.now(), paint: painter(process.stdout) }),
      );
    return exitStatus.ok;
  },
});

export function containerTable(
  lines: readonly ContainerLine[],
  how: { readonly withNamespace: boolean; readonly now: number; readonly paint: Paint },
): string {
  const { withNamespace, now, paint } = how;
  const services = lines.some((line) => line.restart !== undefined);
  const headings = [
    ...(withNamespace ? ['NAMESPACE'] : []),
    'ID',
    'PID',
    'STATUS',
    ...(services ? ['RESTART'] : []),
    'CREATED',
    'RUNTIME',
    'COMMAND',
  ];
  const rows = lines.map((line) => [
    ...(withNamespace ? [line.namespace] : []),
    line.id,
    line.task && line.task.status !== 'stopped' ? String(line.task.pid) : '-',
    statusText(line, now, paint),
    ...(services ? [restartText(line)] : []),
    line.createdAt === undefined ? '-' : `${age(Date.parse(line.createdAt), now)} ago`,
    printable(line.runtime) || '-',
    shortened(line.command.map(printable).join(' ')),
  ]);
  return table(headings, rows);
}

/** The policy and how often it was needed; in brackets where the service was stopped. */
function restartText({ restart }: ContainerLine): string {
  if (restart === undefined) return '-';
  const text = restart.count === 0 ? restart.policy : `${restart.policy} x${restart.count}`;
  const isStopped = restart.status !== 'running' || (restart.explicitlyStopped && restart.policy === 'unless-stopped');
  return printable(isStopped ? `(${text})` : text);
}

function statusText({ task }: ContainerLine, now: number, paint: Paint): string {
  if (task === undefined) return 'no task';
  if (task.status === 'running') return paint('green', 'running');
  if (task.status !== 'stopped') return paint('yellow', task.status);
  const since = task.exitedAt === undefined ? '' : ` ${age(Date.parse(task.exitedAt), now)} ago`;
  return paint(task.exitStatus === 0 ? 'dim' : 'red', `exited (${task.exitStatus ?? 0})${since}`);
}

function shortened(command: string): string {
  const characters = Array.from(command);
  return characters.length > longestCommand ? `${characters.slice(0, longestCommand - 1).join('')}…` : command;
}
