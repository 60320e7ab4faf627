import type { eventsDefinition, ResponseOf } from '../../shared/grpc/index.ts';
import { containerd } from '../../shared/proto/gen/events.js';
import { plainAny } from '../../shared/wire/any.ts';
import { isoTime } from '../container/task-view.ts';
import { plainMessage } from './plain-message.ts';

type Envelope = Pick<ResponseOf<typeof eventsDefinition.subscribe>, 'timestamp' | 'namespace' | 'topic' | 'event'>;

/** An event as `events` shows it. */
export interface EventLine {
  /** ISO 8601. */
  readonly timestamp: string | undefined;
  readonly namespace: string;
  readonly topic: string;
  readonly type: string;
  /** The event's fields; absent for a type that is not known here. */
  readonly event: Readonly<Record<string, unknown>> | undefined;
}

const decoders = new Map<string, { decode(bytes: Uint8Array): object }>(
  Object.entries(containerd.events).map(([name, type]) => [`containerd.events.${name}`, type]),
);

export function eventLine(envelope: Envelope): EventLine {
  const any = plainAny(envelope.event);
  const type = (any?.typeUrl ?? '').replace(/^type\.googleapis\.com\//, '');
  return {
    timestamp: isoTime(envelope.timestamp),
    namespace: envelope.namespace,
    topic: envelope.topic,
    type,
    event: any && decoded(type, any.value),
  };
}

function decoded(type: string, bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const message = decoders.get(type)?.decode(bytes);
    return message && plainMessage(message);
  } catch {
    return undefined;
  }
}
