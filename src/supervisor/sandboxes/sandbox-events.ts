import {
  type Envelope,
  sandboxCreateEvent,
  sandboxExitEvent,
  sandboxStartEvent,
  type TopicEvent,
} from '../../events/index.ts';
import { TaskError } from '../../shared/errors/index.ts';
import type { SandboxRef } from '../../shared/identifiers.ts';
import type { Logger } from '../../shared/log/logger.ts';
import type { SandboxExit } from '../../shared/messages/index.ts';
import { timestampNow } from '../../shared/wire/timestamp.ts';
import { type EventSink, RecoveredEvents } from '../recovered-events.ts';
import type { Sandbox } from './sandbox.ts';

const ownerOf = ({ namespace, sandbox }: SandboxRef): string => `${namespace}/${sandbox}`;

type SandboxEnd = Pick<Sandbox, 'ref' | 'endedUnseen'>;

/** The events of sandboxes, each published once. No call throws or waits. */
export class SandboxEvents {
  readonly #sink: EventSink;
  readonly #logger: Logger;
  readonly #recovered: RecoveredEvents;

  constructor(sink: EventSink, logger: Logger) {
    this.#sink = sink;
    this.#logger = logger;
    this.#recovered = new RecoveredEvents(sink);
  }

  created(sandbox: Sandbox): void {
    this.#publish(sandbox, sandboxCreateEvent({ sandboxId: sandbox.ref.sandbox }));
  }

  started(sandbox: Sandbox): void {
    this.#publish(sandbox, sandboxStartEvent({ sandboxId: sandbox.ref.sandbox }));
  }

  exited({ ref, endedUnseen }: SandboxEnd, { status, exitedAt }: SandboxExit): void {
    const fields = { sandboxId: ref.sandbox, exitStatus: status, exitedAt };
    this.#publish({ ref, endedUnseen }, sandboxExitEvent(fields));
  }

  /** Events that are kept for clients who are away. */
  get held(): number {
    return this.#recovered.size;
  }

  /** Drops what is kept of an earlier life of this id. */
  forget(ref: SandboxRef): void {
    this.#recovered.drop(ownerOf(ref));
  }

  close(): void {
    this.#recovered.close();
  }

  #publish({ ref, endedUnseen }: SandboxEnd, { topic, event }: TopicEvent): void {
    const envelope: Envelope = { timestamp: timestampNow(), namespace: ref.namespace, topic, event };
    try {
      if (endedUnseen) this.#recovered.add({ owner: ownerOf(ref), envelope });
      else this.#sink.publish(envelope);
    } catch (error) {
      this.#logger.warn('event refused', { ...ref, topic, error: TaskError.from(error).message });
    }
  }
}
