import { invalidArgument } from '../shared/errors/index.ts';
import { isIdentifier } from '../shared/identifiers.ts';
import type { Any } from '../shared/wire/any.ts';
import type { Timestamp } from '../shared/wire/timestamp.ts';

/** An event as it is published: what happened, where, when. */
export interface Envelope {
  readonly timestamp: Timestamp;
  readonly namespace: string;
  readonly topic: string;
  readonly event: Any;
}

/** Throws INVALID_ARGUMENT, in containerd's words, unless the namespace and the topic are valid. */
export function assertEnvelope(envelope: Envelope): void {
  if (!isIdentifier(envelope.namespace)) {
    throw invalidArgument(
      `event envelope has invalid namespace: identifier ${quoted(envelope.namespace)}: invalid argument`,
    );
  }
  const fault = faultOfTopic(envelope.topic);
  if (fault !== undefined) {
    throw invalidArgument(`envelope topic ${quoted(envelope.topic)}: ${fault}: invalid argument`);
  }
}

function faultOfTopic(topic: string): string | undefined {
  if (topic === '') return 'must not be empty';
  if (!topic.startsWith('/')) return "must start with '/'";
  if (topic === '/') return 'must have at least one component';
  const bad = topic
    .slice(1)
    .split('/')
    .find((component) => !isIdentifier(component));
  return bad === undefined ? undefined : `failed validation on component ${quoted(bad)}`;
}

function quoted(value: string): string {
  return JSON.stringify(value.length > 100 ? `${value.slice(0, 100)}…` : value);
}
