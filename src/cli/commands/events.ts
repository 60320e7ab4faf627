import { adminDefinition } from '../../shared/grpc/index.ts';
import { unreachable } from '../../shared/util/unreachable.ts';
import { plainInteger } from '../../shared/wire/integer.ts';
import { timestampOf } from '../../shared/wire/timestamp.ts';
import { defineCommand } from '../command.ts';
import { jsonLine } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { flag, list, value } from '../option.ts';
import { eventLine } from '../output/event-line.ts';
import { printable } from '../output/printable.ts';
import { type EventsStart, parseEventsStart } from '../parse-events-start.ts';

export const events = defineCommand({
  description:
    "Prints the namespace's events as they happen, until it is interrupted or the daemon stops. Filters are in " +
    "containerd's language; an event is shown where any of them matches. With --since, what happened before comes first, " +
    'also what happened while the daemon was not there: the latest 57,000 events or so (14 MiB) are kept. With --json every ' +
    'event has its cursor, and --since CURSOR goes on after it; where the events after it are not kept any more, the command fails.',
  arguments: [],
  options: {
    all: flag('-a, --all', 'of all namespaces'),
    filter: list('-f, --filter <filter>', 'only those that match', String),
    since: value(
      '--since <start>',
      "a cursor, a time (2026-01-31T12:00:00Z), how long ago (10m), or 'oldest'",
      (text) => parseEventsStart(text),
    ),
    noFollow: flag('--no-follow', 'end with the latest event of now'),
  },
  examples: [
    ['shimd events', 'everything in the namespace'],
    ['shimd events --json -f \'topic=="/tasks/exit"\'', 'every exit, as one JSON object a line'],
    ["shimd events -f 'event.container_id==web'", 'of one container'],
    ['shimd events --since 10m --no-follow', 'what happened in the last ten minutes'],
    ['shimd events --json --since 1767225600000042', 'goes on after the event with this cursor'],
  ],
  json: true,

  async run(context, options) {
    const daemon = await context.daemon();
    const own = `namespace==${context.namespace}`;
    const filters = options.filter.length === 0 ? [own] : options.filter.map((filter) => `${own},${filter}`);
    const interrupted = new AbortController();
    const stop = () => interrupted.abort();
    process.once('SIGINT', stop).once('SIGTERM', stop);
    const request = {
      filters: options.all ? [...options.filter] : filters,
      untilNow: options.noFollow,
      ...startFields(options.since),
    };
    const stream = daemon.stream(adminDefinition.events, context.namespace, request, interrupted.signal);
    for await (const event of stream) {
      const line = { cursor: plainInteger(event.cursor), ...eventLine(event) };
      if (context.json) context.print(jsonLine(line));
      else {
        const event = printable(JSON.stringify(line.event ?? { type: line.type }));
        context.print(`${line.timestamp ?? '-'} ${line.namespace} ${line.topic} ${event}\n`);
      }
    }
    return exitStatus.ok;
  },
});

function startFields(start: EventsStart | undefined) {
  switch (start?.kind) {
    case 'cursor':
      return { after: start.cursor };
    case 'time':
      return { since: timestampOf(start.time) };
    case 'oldest':
      return { oldest: true };
    case undefined:
      return {};
    default:
      return unreachable(start);
  }
}
