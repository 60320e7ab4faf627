import { containerd } from '../../../src/shared/proto/gen/events.js';
import type { Envelope } from '../../helpers/tasks.ts';

const { events } = containerd;

/** One event of a process: what happened, and to which exec; '' for init. */
export interface TaskTopic {
  readonly topic: string;
  readonly exec: string;
}

function execOf(id: string, container: string): string {
  return id === container ? '' : id;
}

/** The task events of one container among a subscription's messages, in order. */
export function topicsOf(messages: readonly Envelope[], container: string): TaskTopic[] {
  return messages.flatMap(({ topic, event }) => {
    const bytes = event?.value ?? new Uint8Array();
    const [id, exec] = identify(topic, bytes);
    return id === container ? [{ topic: topic.replace('/tasks/', ''), exec }] : [];
  });
}

function identify(topic: string, bytes: Uint8Array): readonly [string, string] {
  switch (topic) {
    case '/tasks/exit': {
      const { containerId, id } = events.TaskExit.decode(bytes);
      return [containerId, execOf(id, containerId)];
    }
    case '/tasks/delete': {
      const { containerId, id } = events.TaskDelete.decode(bytes);
      return [containerId, execOf(id, containerId)];
    }
    case '/tasks/exec-added': {
      const { containerId, execId } = events.TaskExecAdded.decode(bytes);
      return [containerId, execId];
    }
    case '/tasks/exec-started': {
      const { containerId, execId } = events.TaskExecStarted.decode(bytes);
      return [containerId, execId];
    }
    case '/tasks/create':
      return [events.TaskCreate.decode(bytes).containerId, ''];
    case '/tasks/start':
      return [events.TaskStart.decode(bytes).containerId, ''];
    default:
      return ['', ''];
  }
}
