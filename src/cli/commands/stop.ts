import { adminDefinition } from '../../shared/grpc/index.ts';
import { parseTaskId } from '../../shared/identifiers.ts';
import { defineCommand } from '../command.ts';
import { isoTime } from '../container/task-view.ts';
import { jsonLine } from '../context.ts';
import { forEach, outcomesAsData } from '../each.ts';
import { value } from '../option.ts';
import { parseSeconds, parseSignal } from '../parse.ts';

const sigterm = 15;
const defaultPatience = 10_000;
/** What a stop may take beyond its patience, in milliseconds: more than the daemon allows it. */
const margin = 70_000;

export const stop = defineCommand({
  description:
    'Ends tasks: asks each to, and kills it where it has not ended in time. A service stays ended, whatever its restart ' +
    "policy, also when the daemon is restarted; 'shimd start' brings it back. The containers stay.",
  arguments: [{ name: '<id...>', summary: 'ids of the containers' }],
  options: {
    time: value('-t, --time <seconds>', 'how long a task has before it is killed', parseSeconds, { default: '10' }),
    signal: value('-s, --signal <signal>', 'what asks a task to end', parseSignal, { default: 'TERM' }),
  },
  examples: [
    ['shimd stop web', 'ends a service, with 10 seconds for it to finish'],
    ['shimd stop -t 0 job-1 job-2', 'ends two at once'],
  ],
  json: true,

  async run(context, options, ids) {
    const { time: patience = defaultPatience, signal = sigterm } = options;
    const daemon = await context.daemon();
    const { outcomes, status } = await forEach(context, ids, async (id) => {
      const answer = await daemon.call(
        adminDefinition.stopTask,
        context.namespace,
        { containerId: parseTaskId(id), signal, patience },
        { timeout: patience + margin },
      );
      return answer.ended
        ? { stopped: true, exitStatus: answer.exitStatus, exitedAt: isoTime(answer.exitedAt) }
        : { stopped: true };
    });
    if (context.json) context.print(jsonLine(outcomesAsData(outcomes)));
    return status;
  },
});
