import { parseExecId, parseTaskId } from '../../shared/identifiers.ts';
import { millisecondsOf } from '../../shared/wire/timestamp.ts';
import { waitForExit } from '../client/wait-for-exit.ts';
import { defineCommand } from '../command.ts';
import { jsonLine } from '../context.ts';
import { forEach, outcomesAsData } from '../each.ts';
import { exitStatus, waitExitCodes } from '../exit-status.ts';
import { value } from '../option.ts';

export const wait = defineCommand({
  description:
    'Waits until each task has ended and prints its status, one a line in the order of the ids: 0-255, or 128 + n ' +
    'where signal n ended it. Exits with the status of the last one. A task that has ended already is answered at ' +
    'once. Waits on when the daemon is restarted.',
  arguments: [{ name: '<id...>', summary: 'ids of the containers' }],
  options: { exec: value('--exec-id <id>', 'for this exec instead of the first process', parseExecId) },
  examples: [
    ['shimd wait job', 'prints 0 and exits with 0 when it has ended well'],
    ['shimd wait --json job-1 job-2', 'two, with the time of their end'],
  ],
  exitCodes: waitExitCodes,
  json: true,
  failureStatus: exitStatus.shimd,

  async run(context, options, ids) {
    const daemon = await context.daemon();
    const { outcomes, status } = await forEach(context, ids, async (id) => {
      const name = { namespace: context.namespace, task: parseTaskId(id), exec: options.exec ?? '' };
      const exit = await waitForExit(daemon, name, new AbortController().signal, {
        lost: (reason) => context.warn(`${reason.message}; waiting for it to come back`),
      });
      const exitedAt = exit.exitedAt && new Date(millisecondsOf(exit.exitedAt)).toISOString();
      return { exitStatus: exit.status, exitedAt };
    });
    if (context.json) context.print(jsonLine(outcomesAsData(outcomes)));
    else for (const outcome of outcomes) if ('result' in outcome) context.print(`${outcome.result.exitStatus}\n`);
    const last = outcomes.at(-1);
    if (status !== exitStatus.ok || last === undefined || 'error' in last) return exitStatus.shimd;
    return last.result.exitStatus;
  },
});
