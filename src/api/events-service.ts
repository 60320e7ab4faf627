import { invalidArgument } from '../shared/errors/index.ts';
import { eventsDefinition } from '../shared/grpc/index.ts';
import { parseNamespace } from '../shared/identifiers.ts';
import { type Any, plainAny, wireAny } from '../shared/wire/any.ts';
import { plainTimestamp, timestampNow } from '../shared/wire/timestamp.ts';
import { type Service, serverStream, unary } from './binding.ts';
import type { EventExchange } from './event-exchange.ts';
import type { TaskManager } from './task-manager.ts';

export interface EventsServiceOptions {
  readonly exchange: EventExchange;
  readonly tasks: TaskManager;
}

/** `containerd.services.events.v1.Events`. */
export function eventsService({ exchange, tasks }: EventsServiceOptions): Service<typeof eventsDefinition> {
  return {
    publish: unary(eventsDefinition.publish, (request, context) => {
      const namespace = context.namespace();
      const event = required(plainAny(request.event));
      exchange.publish({ timestamp: timestampNow(), namespace, topic: checkTopic(request.topic), event });
      return {};
    }),

    /** What shims send: the supervisor knows which of their events are news. */
    forward: unary(eventsDefinition.forward, (request) => {
      const { envelope } = request;
      if (!envelope) throw invalidArgument('forward without an envelope: invalid argument');
      const timestamp = plainTimestamp(envelope.timestamp);
      if (!timestamp) throw invalidArgument('timestamp must be set on forwarded event: invalid argument');
      tasks.receive({
        timestamp,
        namespace: parseNamespace(envelope.namespace ?? ''),
        topic: checkTopic(envelope.topic ?? ''),
        event: required(plainAny(envelope.event)),
      });
      return {};
    }),

    subscribe: serverStream(eventsDefinition.subscribe, async function* (request, context) {
      const { signal } = context.limits;
      for await (const envelope of exchange.subscribe({ filters: request.filters, signal })) {
        yield { ...envelope, event: wireAny(envelope.event) };
      }
    }),
  };
}

function required(event: Any | undefined): Any {
  if (!event) throw invalidArgument('the event has no type: invalid argument');
  return event;
}

function checkTopic(topic: string): string {
  if (!topic.startsWith('/'))
    throw invalidArgument(`topic ${JSON.stringify(topic)} must start with '/': invalid argument`);
  return topic;
}
