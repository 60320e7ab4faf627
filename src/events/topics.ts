import type { Mount, Stdio } from '../shared/messages/index.ts';
import { containerd } from '../shared/proto/gen/events.js';
import { type Any, wireAny } from '../shared/wire/any.ts';
import type { Timestamp } from '../shared/wire/timestamp.ts';

/** Where containerd's clients expect each event. */
export const topics = {
  taskCreate: '/tasks/create',
  taskStart: '/tasks/start',
  taskOom: '/tasks/oom',
  taskExit: '/tasks/exit',
  taskDelete: '/tasks/delete',
  taskExecAdded: '/tasks/exec-added',
  taskExecStarted: '/tasks/exec-started',
  taskPaused: '/tasks/paused',
  taskResumed: '/tasks/resumed',
  taskCheckpointed: '/tasks/checkpointed',
  containerCreate: '/containers/create',
  containerUpdate: '/containers/update',
  containerDelete: '/containers/delete',
  namespaceCreate: '/namespaces/create',
  namespaceUpdate: '/namespaces/update',
  namespaceDelete: '/namespaces/delete',
  sandboxCreate: '/sandboxes/create',
  sandboxStart: '/sandboxes/start',
  sandboxExit: '/sandboxes/exit',
} as const;

export type Topic = (typeof topics)[keyof typeof topics];

/** An event and its topic, ready for an envelope. */
export interface TopicEvent {
  readonly topic: Topic;
  readonly event: Any;
}

/** An event about a whole task. */
export interface TaskFields {
  readonly containerId: string;
}

/** An event about one process of a task. */
export interface TaskExitFields extends TaskFields {
  /** The exec's id; the container's for init. */
  readonly id: string;
  readonly pid: number;
  readonly exitStatus: number;
  readonly exitedAt: Timestamp;
}

export interface TaskCreateFields extends TaskFields {
  readonly bundle: string;
  readonly rootfs: readonly Mount[];
  readonly io: Stdio;
  readonly checkpoint?: string | undefined;
  readonly pid: number;
}

export interface NamedLabels {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

const messages = containerd.events;

interface Encoder<Message> {
  encode(message: Message): { finish(): Uint8Array };
}

/** containerd's own types have no host in their type URLs. */
export const eventTypePrefix = 'containerd.events.';

function define<Fields, Message>(
  topic: Topic,
  type: keyof typeof messages,
  encoder: Encoder<Message>,
  toMessage: (fields: Fields) => Message,
): (fields: Fields) => TopicEvent {
  return (fields) => ({
    topic,
    event: { typeUrl: `${eventTypePrefix}${type}`, value: encoder.encode(toMessage(fields)).finish() },
  });
}

const same = <Fields>(fields: Fields): Fields => fields;

export const taskCreateEvent = define(
  topics.taskCreate,
  'TaskCreate',
  messages.TaskCreate,
  ({ rootfs, io, checkpoint, ...fields }: TaskCreateFields) => ({
    ...fields,
    rootfs: rootfs.map(({ options, ...mount }) => ({ ...mount, options: [...options] })),
    io,
    checkpoint: checkpoint ?? '',
  }),
);
export const taskStartEvent = define(
  topics.taskStart,
  'TaskStart',
  messages.TaskStart,
  same<TaskFields & { readonly pid: number }>,
);
export const taskOomEvent = define(topics.taskOom, 'TaskOOM', messages.TaskOOM, same<TaskFields>);
export const taskExitEvent = define(topics.taskExit, 'TaskExit', messages.TaskExit, same<TaskExitFields>);
/** containerd leaves `id` empty where init is deleted. */
export const taskDeleteEvent = define(topics.taskDelete, 'TaskDelete', messages.TaskDelete, same<TaskExitFields>);
export const taskExecAddedEvent = define(
  topics.taskExecAdded,
  'TaskExecAdded',
  messages.TaskExecAdded,
  same<TaskFields & { readonly execId: string }>,
);
export const taskExecStartedEvent = define(
  topics.taskExecStarted,
  'TaskExecStarted',
  messages.TaskExecStarted,
  same<TaskFields & { readonly execId: string; readonly pid: number }>,
);
export const taskPausedEvent = define(topics.taskPaused, 'TaskPaused', messages.TaskPaused, same<TaskFields>);
export const taskResumedEvent = define(topics.taskResumed, 'TaskResumed', messages.TaskResumed, same<TaskFields>);
export const taskCheckpointedEvent = define(
  topics.taskCheckpointed,
  'TaskCheckpointed',
  messages.TaskCheckpointed,
  same<TaskFields & { readonly checkpoint: string }>,
);

export const containerCreateEvent = define(
  topics.containerCreate,
  'ContainerCreate',
  messages.ContainerCreate,
  (fields: {
    readonly id: string;
    readonly image: string;
    readonly runtime: { readonly name: string; readonly options?: Any | undefined };
  }) => ({
    id: fields.id,
    image: fields.image,
    runtime: { name: fields.runtime.name, options: wireAny(fields.runtime.options) ?? null },
  }),
);
export const containerUpdateEvent = define(
  topics.containerUpdate,
  'ContainerUpdate',
  messages.ContainerUpdate,
  same<{
    readonly id: string;
    readonly image: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly snapshotKey: string;
  }>,
);
export const containerDeleteEvent = define(
  topics.containerDelete,
  'ContainerDelete',
  messages.ContainerDelete,
  same<{ readonly id: string }>,
);

export const namespaceCreateEvent = define(
  topics.namespaceCreate,
  'NamespaceCreate',
  messages.NamespaceCreate,
  ({ name, labels }: NamedLabels) => ({ name, labels: labels ?? {} }),
);
export const namespaceUpdateEvent = define(
  topics.namespaceUpdate,
  'NamespaceUpdate',
  messages.NamespaceUpdate,
  ({ name, labels }: NamedLabels) => ({ name, labels: labels ?? {} }),
);
export const namespaceDeleteEvent = define(
  topics.namespaceDelete,
  'NamespaceDelete',
  messages.NamespaceDelete,
  same<{ readonly name: string }>,
);

export const sandboxCreateEvent = define(
  topics.sandboxCreate,
  'SandboxCreate',
  messages.SandboxCreate,
  same<{ readonly sandboxId: string }>,
);
export const sandboxStartEvent = define(
  topics.sandboxStart,
  'SandboxStart',
  messages.SandboxStart,
  same<{ readonly sandboxId: string }>,
);
export const sandboxExitEvent = define(
  topics.sandboxExit,
  'SandboxExit',
  messages.SandboxExit,
  same<{ readonly sandboxId: string; readonly exitStatus: number; readonly exitedAt: Timestamp }>,
);
