import { containerd } from '../shared/proto/gen/events.js';
import { timestampOf } from '../shared/wire/timestamp.ts';
import type { EventPublisher } from './event-publisher.ts';
import type { ProcessExit } from './exit-latch.ts';
import type { Stdio } from './stdio.ts';

const { TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskPaused, TaskResumed, TaskStart } =
  containerd.events;

/** The events of tasks, each published once and in the order in which the methods are called. */
export class TaskEvents {
  readonly #publisher: EventPublisher;

  constructor(publisher: EventPublisher) {
    this.#publisher = publisher;
  }

  created(containerId: string, pid: number, bundle: string, io: Stdio): void {
    this.#publish('create', 'TaskCreate', TaskCreate.encode({ containerId, pid, bundle, io }).finish());
  }

  started(containerId: string, pid: number): void {
    this.#publish('start', 'TaskStart', TaskStart.encode({ containerId, pid }).finish());
  }

  execAdded(containerId: string, execId: string): void {
    this.#publish('exec-added', 'TaskExecAdded', TaskExecAdded.encode({ containerId, execId }).finish());
  }

  execStarted(containerId: string, execId: string, pid: number): void {
    this.#publish('exec-started', 'TaskExecStarted', TaskExecStarted.encode({ containerId, execId, pid }).finish());
  }

  /** `id` is the exec's, or the container's for init. */
  exited(containerId: string, id: string, pid: number, exit: ProcessExit): void {
    const event = { containerId, id, pid, exitStatus: exit.status, exitedAt: exitedAt(exit) };
    this.#publish('exit', 'TaskExit', TaskExit.encode(event).finish());
  }

  deleted(containerId: string, pid: number, exit: ProcessExit): void {
    const event = { containerId, pid, exitStatus: exit.status, exitedAt: exitedAt(exit) };
    this.#publish('delete', 'TaskDelete', TaskDelete.encode(event).finish());
  }

  paused(containerId: string): void {
    this.#publish('paused', 'TaskPaused', TaskPaused.encode({ containerId }).finish());
  }

  resumed(containerId: string): void {
    this.#publish('resumed', 'TaskResumed', TaskResumed.encode({ containerId }).finish());
  }

  #publish(topic: string, type: string, value: Uint8Array): void {
    this.#publisher.publish(`/tasks/${topic}`, { typeUrl: `containerd.events.${type}`, value });
  }
}

/** Null, which is how messages leave a field out, for a process that never ran. */
export function exitedAt(exit: ProcessExit | undefined): { seconds: number; nanos: number } | null {
  return exit?.at === undefined ? null : timestampOf(exit.at);
}
