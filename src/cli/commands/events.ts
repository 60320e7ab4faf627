import { eventsDefinition } from '../../shared/grpc/index.ts';
import { defineCommand } from '../command.ts';
import { jsonLine } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { flag, list } from '../option.ts';
import { eventLine } from '../output/event-line.ts';
import { printable } from '../output/printable.ts';

export const events = defineCommand({
  description:
    "Prints the namespace's events as they happen, until it is interrupted or the daemon stops. Filters are in " +
    "containerd's language; an event is shown where any of them matches.",
  arguments: [],
  options: {
    all: flag('-a, --all', 'of all namespaces'),
    filter: list('-f, --filter <filter>', 'only those that match', String),
  },
  examples: [
    ['shimd events', 'everything in the namespace'],
    ['shimd events --json -f \'topic=="/tasks/exit"\'', 'every exit, as one JSON object a line'],
    ["shimd events -f 'event.container_id==web'", 'of one container'],
  ],
  json: true,

  async run(context, options) {
    const daemon = await context.daemon();
    const own = `namespace==${context.namespace}`;
    const filters = options.filter.length === 0 ? [own] : options.filter.map((filter) => `${own},${filter}`);
    const interrupted = new AbortController();
    const stop = () => interrupted.abort();
    process.once('SIGINT', stop).once('SIGTERM', stop);
    const request = { filters: options.all ? [...options.filter] : filters };
    const stream = daemon.stream(eventsDefinition.subscribe, context.namespace, request, interrupted.signal);
    for await (const envelope of stream) {
      const line = eventLine(envelope);
      if (context.json) context.print(jsonLine(line));
      else {
        const event = printable(JSON.stringify(line.event ?? { type: line.type }));
        context.print(`${line.timestamp ?? '-'} ${line.namespace} ${line.topic} ${event}\n`);
      }
    }
    return exitStatus.ok;
  },
});
