import { adminDefinition, type ResponseOf } from '../../shared/grpc/index.ts';
import { plainInteger } from '../../shared/wire/integer.ts';
import { defineCommand } from '../command.ts';
import { isoTime } from '../container/task-view.ts';
import { jsonLine } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { age } from '../output/age.ts';
import { type Colour, type Paint, painter } from '../output/colour.ts';
import { printable } from '../output/printable.ts';
import { table } from '../output/table.ts';

export const info = defineCommand({
  description:
    'Shows how the daemon is: its version, how long it runs, its memory, what it looks after and which events it keeps, and how each ' +
    'of its components is: ok, degraded (it works, but late, or not all of it) or failed, since when, and why. Fails ' +
    'where something is not as it should be. A shim is listed by itself while it does not answer.',
  arguments: [],
  options: {},
  examples: [
    ['shimd info', 'for people'],
    ['shimd info --json', 'for monitoring'],
    ['shimd info --json | jq \'.components[] | select(.state != "ok")\'', 'what is wrong, and since when'],
  ],
  exitCodes: [
    ['0', 'the daemon is well'],
    ['1', 'it does not answer, or a component is not ok'],
    ['2', 'the command line is wrong'],
  ],
  json: true,

  async run(context) {
    const daemon = await context.daemon();
    const [answer, health] = await Promise.all([
      daemon.call(adminDefinition.info, context.namespace, {}),
      daemon.call(adminDefinition.health, context.namespace, {}),
    ]);
    const components = componentsOf(health);
    const found = {
      version: answer.version,
      uuid: answer.uuid,
      address: daemon.address,
      pid: plainInteger(answer.pid),
      startedAt: isoTime(answer.startedAt),
      tasks: answer.tasks,
      shims: answer.shims,
      slots: answer.slots,
      owedExits: answer.owedExits,
      memory: plainInteger(answer.memory),
      cursor: plainInteger(answer.cursor),
      oldestCursor: plainInteger(answer.oldestCursor),
      state: health.state,
      components,
      problems: components
        .filter(({ state }) => state !== 'ok')
        .map(({ component, reason }) => `${component}: ${reason}`),
    };
    context.print(context.json ? jsonLine(found) : text(found, painter(process.stdout)));
    return found.state === 'ok' ? exitStatus.ok : exitStatus.failed;
  },
});

interface Component {
  readonly component: string;
  readonly state: string;
  /** ISO 8601. */
  readonly since: string | undefined;
  readonly reason: string;
}

function componentsOf({ components }: ResponseOf<typeof adminDefinition.health>): Component[] {
  return components.map(({ component, state, since, reason }) => ({
    component: component ?? '',
    state: state ?? '',
    since: isoTime(since),
    reason: reason ?? '',
  }));
}

const colours: Readonly<Record<string, Colour>> = { ok: 'green', degraded: 'yellow', failed: 'red' };

function text(
  found: {
    readonly version: string;
    readonly uuid: string;
    readonly address: string;
    readonly pid: number;
    readonly startedAt: string | undefined;
    readonly tasks: number;
    readonly shims: number;
    readonly slots: number;
    readonly owedExits: number;
    readonly memory: number;
    readonly cursor: number;
    readonly oldestCursor: number;
    readonly state: string;
    readonly components: readonly Component[];
    readonly problems: readonly string[];
  },
  paint: Paint,
): string {
  const now = Date.now();
  const since = (time: string | undefined) => (time === undefined ? '' : age(Date.parse(time), now));
  const running = found.startedAt === undefined ? '' : `, for ${since(found.startedAt)}`;
  const painted = (state: string) => paint(colours[state] ?? 'dim', state);
  const owed = found.owedExits === 0 ? '' : `, ${found.owedExits} exits for clients that are away`;
  const lines = [
    `daemon    shimd ${found.version} at ${found.address} (pid ${found.pid}${running})`,
    `uuid      ${found.uuid}`,
    `tasks     ${found.tasks} in ${found.shims} shims, ${found.slots} slots`,
    `memory    ${(found.memory / 2 ** 20).toFixed(1)} MiB`,
    `events    ${found.cursor - found.oldestCursor} kept, the latest has cursor ${found.cursor}${owed}`,
    `health    ${painted(found.state)}`,
    `problems  ${found.problems.length === 0 ? 'none' : `${found.problems.length} of ${found.components.length} components`}`,
  ];
  const rows = found.components.map((one) => [
    printable(one.component),
    painted(one.state),
    since(one.since),
    printable(one.reason),
  ]);
  return `${lines.join('\n')}\n\n${table(['COMPONENT', 'STATE', 'FOR', 'REASON'], rows)}`;
}
