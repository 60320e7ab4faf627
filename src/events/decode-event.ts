import { containerd } from '../shared/proto/gen/events.js';
import { type Any, isTypeUrl } from '../shared/wire/any.ts';
import { plainTimestamp } from '../shared/wire/timestamp.ts';
import { eventTypePrefix, type TaskExitFields } from './topics.ts';

const decoders = new Map(
  Object.entries(containerd.events).map(([type, message]): [string, (bytes: Uint8Array) => object] => [
    type,
    (bytes) => message.decode(bytes),
  ]),
);

/** The decoded message, its fields in camel case; undefined for a type that is not containerd's and for bytes that are rubbish. */
export function decodeEvent(event: Any): object | undefined {
  const at = event.typeUrl.lastIndexOf('/') + 1;
  if (!event.typeUrl.startsWith(eventTypePrefix, at)) return undefined;
  const type = event.typeUrl.slice(at + eventTypePrefix.length);
  if (!isTypeUrl(event.typeUrl, `${eventTypePrefix}${type}`)) return undefined;
  try {
    return decoders.get(type)?.(event.value);
  } catch {
    return undefined;
  }
}

/** The fields of a TaskExit. Undefined for anything else and for an exit without a time, which no process ever had. */
export function taskExitOf(event: Any): TaskExitFields | undefined {
  const message = decodeEvent(event);
  if (!(message instanceof containerd.events.TaskExit)) return undefined;
  const exitedAt = plainTimestamp(message.exitedAt);
  if (exitedAt === undefined) return undefined;
  const { containerId, id, pid, exitStatus } = message;
  return { containerId, id, pid, exitStatus, exitedAt };
}

/** The container of a TaskOOM. */
export function taskOomOf(event: Any): string | undefined {
  const message = decodeEvent(event);
  return message instanceof containerd.events.TaskOOM ? message.containerId : undefined;
}

/** The container of a TaskPaused or TaskResumed. */
export function frozenTaskOf(event: Any): string | undefined {
  const message = decodeEvent(event);
  const { TaskPaused, TaskResumed } = containerd.events;
  return message instanceof TaskPaused || message instanceof TaskResumed ? message.containerId : undefined;
}
