import {
  containerCreateEvent,
  containerDeleteEvent,
  containerUpdateEvent,
  type Envelope,
  namespaceCreateEvent,
  namespaceDeleteEvent,
  namespaceUpdateEvent,
  type TopicEvent,
} from '../events/index.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import type { Container, NamespaceEntry } from '../store/index.ts';

export function containerCreated(namespace: string, container: Container): Envelope {
  return envelope(namespace, containerCreateEvent(container));
}

export function containerUpdated(namespace: string, container: Container): Envelope {
  return envelope(namespace, containerUpdateEvent(container));
}

export function containerDeleted(namespace: string, id: string): Envelope {
  return envelope(namespace, containerDeleteEvent({ id }));
}

export function namespaceCreated(entry: NamespaceEntry): Envelope {
  return envelope(entry.name, namespaceCreateEvent(entry));
}

export function namespaceUpdated(entry: NamespaceEntry): Envelope {
  return envelope(entry.name, namespaceUpdateEvent(entry));
}

export function namespaceDeleted(name: string): Envelope {
  return envelope(name, namespaceDeleteEvent({ name }));
}

function envelope(namespace: string, { topic, event }: TopicEvent): Envelope {
  return { timestamp: timestampNow(), namespace, topic, event };
}
