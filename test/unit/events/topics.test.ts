import { expect, test } from 'vitest';
import { decodeEvent, taskExitOf, taskOomOf } from '../../../src/events/decode-event.ts';
import * as events from '../../../src/events/topics.ts';

const exitedAt = { seconds: 1_700_000_000, nanos: 5 };
const task = { containerId: 'web' };
const exit = { ...task, id: 'sh', pid: 7, exitStatus: 137, exitedAt };
const mount = { type: 'overlay', source: 'overlay', target: '', options: ['lowerdir=/a'] };
const io = { stdin: '', stdout: '/o', stderr: '/e', terminal: true };
const options = { typeUrl: 'containerd.runc.v1.Options', value: new Uint8Array([8, 1]) };

const cases: readonly (readonly [events.TopicEvent, string, string, object])[] = [
  [
    events.taskCreateEvent({ ...task, bundle: '/b', rootfs: [mount], io, pid: 7 }),
    '/tasks/create',
    'TaskCreate',
    { ...task, bundle: '/b', rootfs: [mount], io, pid: 7 },
  ],
  [events.taskStartEvent({ ...task, pid: 7 }), '/tasks/start', 'TaskStart', { ...task, pid: 7 }],
  [events.taskOomEvent(task), '/tasks/oom', 'TaskOOM', task],
  [events.taskExitEvent(exit), '/tasks/exit', 'TaskExit', { ...task, id: 'sh', pid: 7, exitStatus: 137 }],
  [events.taskDeleteEvent(exit), '/tasks/delete', 'TaskDelete', { ...task, id: 'sh', pid: 7, exitStatus: 137 }],
  [
    events.taskExecAddedEvent({ ...task, execId: 'sh' }),
    '/tasks/exec-added',
    'TaskExecAdded',
    { ...task, execId: 'sh' },
  ],
  [
    events.taskExecStartedEvent({ ...task, execId: 'sh', pid: 8 }),
    '/tasks/exec-started',
    'TaskExecStarted',
    { ...task, execId: 'sh', pid: 8 },
  ],
  [events.taskPausedEvent(task), '/tasks/paused', 'TaskPaused', task],
  [events.taskResumedEvent(task), '/tasks/resumed', 'TaskResumed', task],
  [
    events.taskCheckpointedEvent({ ...task, checkpoint: '/c' }),
    '/tasks/checkpointed',
    'TaskCheckpointed',
    { ...task, checkpoint: '/c' },
  ],
  [
    events.containerCreateEvent({ id: 'web', image: 'i', runtime: { name: 'r', options } }),
    '/containers/create',
    'ContainerCreate',
    { id: 'web', image: 'i', runtime: { name: 'r', options: { type_url: options.typeUrl } } },
  ],
  [
    events.containerUpdateEvent({ id: 'web', image: 'i', labels: { a: 'b' }, snapshotKey: 's' }),
    '/containers/update',
    'ContainerUpdate',
    { id: 'web', image: 'i', labels: { a: 'b' }, snapshotKey: 's' },
  ],
  [events.containerDeleteEvent({ id: 'web' }), '/containers/delete', 'ContainerDelete', { id: 'web' }],
  [
    events.namespaceCreateEvent({ name: 'n', labels: { a: 'b' } }),
    '/namespaces/create',
    'NamespaceCreate',
    { name: 'n', labels: { a: 'b' } },
  ],
  [events.namespaceUpdateEvent({ name: 'n' }), '/namespaces/update', 'NamespaceUpdate', { name: 'n' }],
  [events.namespaceDeleteEvent({ name: 'n' }), '/namespaces/delete', 'NamespaceDelete', { name: 'n' }],
  [events.sandboxCreateEvent({ sandboxId: 'p' }), '/sandboxes/create', 'SandboxCreate', { sandboxId: 'p' }],
  [events.sandboxStartEvent({ sandboxId: 'p' }), '/sandboxes/start', 'SandboxStart', { sandboxId: 'p' }],
  [
    events.sandboxExitEvent({ sandboxId: 'p', exitStatus: 3, exitedAt }),
    '/sandboxes/exit',
    'SandboxExit',
    { sandboxId: 'p', exitStatus: 3 },
  ],
];

test.each(cases.map(([event, topic, type, fields]) => ({ event, topic, type, fields })))(
  'a $type is published at $topic with its type and fields',
  ({ event, topic, type, fields }) => {
    expect(event.topic).toBe(topic);
    expect(event.event.typeUrl).toBe(`containerd.events.${type}`);
    expect(decodeEvent(event.event)).toMatchObject(fields);
  },
);

test('every topic has an event', () => {
  expect(new Set(cases.map(([event]) => event.topic))).toEqual(new Set(Object.values(events.topics)));
});

test('an exit is read back whole, and only with a time', () => {
  expect(taskExitOf(events.taskExitEvent(exit).event)).toEqual(exit);
  const timeless = events.taskExitEvent({ ...exit, exitedAt: { seconds: -62_135_596_800, nanos: 0 } });
  expect(taskExitOf(timeless.event)).toBeUndefined();
  expect(taskExitOf(events.taskDeleteEvent(exit).event)).toBeUndefined();
  expect(taskExitOf({ typeUrl: 'containerd.events.TaskExit', value: new Uint8Array([255]) })).toBeUndefined();
});

test('the container of an OOM is read back', () => {
  expect(taskOomOf(events.taskOomEvent(task).event)).toBe('web');
  expect(taskOomOf(events.taskPausedEvent(task).event)).toBeUndefined();
});
