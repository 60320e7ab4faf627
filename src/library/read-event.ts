import { decodeEvent, type Envelope } from '../events/index.ts';
import { containerd } from '../shared/proto/gen/events.js';
import { millisecondsOf, plainTimestamp, type Timestamp } from '../shared/wire/timestamp.ts';
import type { TaskEvent } from './task-event.ts';

const messages = containerd.events;

/** Bytes: thousands of events are kept. */
const maxValueLength = 4096;

/** An envelope in the library's terms. */
export function readEvent(envelope: Envelope, cursor: number): TaskEvent {
  const { topic, timestamp } = envelope;
  const base = { cursor, time: dateOf(timestamp), topic };
  const message = decodeEvent(envelope.event);
  if (message instanceof messages.TaskCreate) {
    return { ...base, type: 'create', task: message.containerId, pid: message.pid };
  }
  if (message instanceof messages.TaskStart) {
    return { ...base, type: 'start', task: message.containerId, pid: message.pid };
  }
  if (message instanceof messages.TaskExit) {
    const { containerId: task, id, pid, exitStatus: status } = message;
    const exec = id === '' || id === task ? {} : { exec: id };
    return { ...base, type: 'exit', task, ...exec, pid, status, exitedAt: readTime(message.exitedAt) };
  }
  if (message instanceof messages.TaskDelete) {
    const { containerId: task, pid, exitStatus: status } = message;
    return { ...base, type: 'delete', task, pid, status, exitedAt: readTime(message.exitedAt) };
  }
  if (message instanceof messages.TaskExecAdded) {
    return { ...base, type: 'exec-added', task: message.containerId, exec: message.execId };
  }
  if (message instanceof messages.TaskExecStarted) {
    return { ...base, type: 'exec-started', task: message.containerId, exec: message.execId, pid: message.pid };
  }
  if (message instanceof messages.TaskOOM) return { ...base, type: 'oom', task: message.containerId };
  if (message instanceof messages.TaskPaused) return { ...base, type: 'paused', task: message.containerId };
  if (message instanceof messages.TaskResumed) return { ...base, type: 'resumed', task: message.containerId };
  if (message instanceof messages.TaskCheckpointed) return { ...base, type: 'checkpointed', task: message.containerId };
  const { typeUrl, value } = envelope.event;
  return { ...base, type: 'other', typeUrl, value: value.length > maxValueLength ? new Uint8Array() : value };
}

export function dateOf(timestamp: Timestamp): Date {
  return new Date(millisecondsOf(timestamp));
}

function readTime(timestamp: Parameters<typeof plainTimestamp>[0]): Date {
  return dateOf(plainTimestamp(timestamp) ?? { seconds: 0, nanos: 0 });
}
