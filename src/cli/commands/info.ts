import { adminDefinition } from '../../shared/grpc/index.ts';
import { plainInteger } from '../../shared/wire/integer.ts';
import { defineCommand } from '../command.ts';
import { isoTime } from '../container/task-view.ts';
import { jsonLine } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { age } from '../output/age.ts';

export const info = defineCommand({
  description:
    'Shows how the daemon is: its version, how long it runs, its memory, what it looks after and which events it keeps. Fails ' +
    'where something is not as it should be, and says what.',
  arguments: [],
  options: {},
  examples: [
    ['shimd info', 'for people'],
    ['shimd info --json', 'for monitoring'],
  ],
  exitCodes: [
    ['0', 'the daemon is well'],
    ['1', 'it does not answer, or something is wrong: see the problems'],
    ['2', 'the command line is wrong'],
  ],
  json: true,

  async run(context) {
    const daemon = await context.daemon();
    const answer = await daemon.call(adminDefinition.info, context.namespace, {});
    const found = {
      version: answer.version,
      uuid: answer.uuid,
      address: daemon.address,
      pid: plainInteger(answer.pid),
      startedAt: isoTime(answer.startedAt),
      tasks: answer.tasks,
      shims: answer.shims,
      slots: answer.slots,
      memory: plainInteger(answer.memory),
      cursor: plainInteger(answer.cursor),
      oldestCursor: plainInteger(answer.oldestCursor),
      problems: [...answer.problems],
    };
    context.print(context.json ? jsonLine(found) : text(found));
    return found.problems.length === 0 ? exitStatus.ok : exitStatus.failed;
  },
});

function text(found: {
  readonly version: string;
  readonly uuid: string;
  readonly address: string;
  readonly pid: number;
  readonly startedAt: string | undefined;
  readonly tasks: number;
  readonly shims: number;
  readonly slots: number;
  readonly memory: number;
  readonly cursor: number;
  readonly oldestCursor: number;
  readonly problems: readonly string[];
}): string {
  const running = found.startedAt === undefined ? '' : `, for ${age(Date.parse(found.startedAt), Date.now())}`;
  const lines = [
    `daemon    shimd ${found.version} at ${found.address} (pid ${found.pid}${running})`,
    `uuid      ${found.uuid}`,
    `tasks     ${found.tasks} in ${found.shims} shims, ${found.slots} slots`,
    `memory    ${(found.memory / 2 ** 20).toFixed(1)} MiB`,
    `events    ${found.cursor - found.oldestCursor} kept, the latest has cursor ${found.cursor}`,
    `problems  ${found.problems.length === 0 ? 'none' : found.problems.join('; ')}`,
  ];
  return `${lines.join('\n')}\n`;
}
