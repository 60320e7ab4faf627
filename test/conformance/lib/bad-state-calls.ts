import path from 'node:path';
import { tasksDefinition } from '../../../src/shared/grpc/index.ts';
import { containerd } from '../../../src/shared/proto/gen/task.js';
import { typeUrls, wireAny } from '../../../src/shared/wire/any.ts';
import type { Daemon } from '../../helpers/daemon.ts';
import { jsonAny, processSpec } from '../../helpers/spec.ts';
import { createTask } from '../../helpers/tasks.ts';

const linuxResources = 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources';
export const execSpec = wireAny(jsonAny(typeUrls.process, processSpec({ args: ['true'] })));
const resourcesOf = (text: string) => wireAny({ typeUrl: linuxResources, value: Buffer.from(text) });

/** The calls for a task by the names of the tables. */
export function callsOf(daemon: Daemon, containerId: string): Readonly<Record<string, () => Promise<unknown>>> {
  const { client } = daemon;
  const unknown = { containerId, execId: 'nope' };
  const imagePath = path.join(daemon.directory, 'checkpoint');
  const checkpointOptions = wireAny({
    typeUrl: typeUrls.runcCheckpointOptions,
    value: Buffer.from(containerd.runc.v1.CheckpointOptions.encode({ imagePath }).finish()),
  });
  const kill = (signal: number, more: object = {}) =>
    client.call(tasksDefinition.kill, { containerId, signal, ...more });
  const resize = (width: number, height: number, of = { containerId, execId: '' }) =>
    client.call(tasksDefinition.resizePty, { ...of, width, height });
  const update = (more: object) => client.call(tasksDefinition.update, { containerId, ...more });
  const exec = (execId: string, more: object = { spec: execSpec }) =>
    client.call(tasksDefinition.exec, { containerId, execId, ...more });
  const removeExec = (execId: string) => client.call(tasksDefinition.deleteProcess, { containerId, execId });
  return {
    get: () => client.call(tasksDefinition.get, { containerId }),
    create: () => createTask(daemon, containerId),
    start: () => client.call(tasksDefinition.start, { containerId }),
    pause: () => client.call(tasksDefinition.pause, { containerId }),
    resume: () => client.call(tasksDefinition.resume, { containerId }),
    wait: () => client.call(tasksDefinition.wait, { containerId }),
    delete: () => client.call(tasksDefinition.delete, { containerId }),
    pids: () => client.call(tasksDefinition.listPids, { containerId }),
    kill: () => kill(9),
    'kill of all': () => kill(9, { all: true }),
    'kill with signal 0': () => kill(0),
    'kill with signal 200': () => kill(200),
    'kill with signal 4294967295': () => kill(4_294_967_295),
    'kill of an unknown exec': () => kill(9, { execId: 'nope' }),
    'resize to 80 by 24': () => resize(80, 24),
    'resize to 65536 columns': () => resize(65_536, 24),
    'resize to 4294967295 rows': () => resize(80, 4_294_967_295),
    'resize of an unknown exec': () => resize(80, 24, unknown),
    'close of stdin': () => client.call(tasksDefinition.closeIO, { containerId, stdin: true }),
    'close of stdin of an unknown exec': () => client.call(tasksDefinition.closeIO, { ...unknown, stdin: true }),
    update: () => update({ resources: resourcesOf('{"memory":{"limit":67108864}}') }),
    'update without resources': () => update({}),
    'update with bad JSON': () => update({ resources: resourcesOf('{"memory":') }),
    checkpoint: () => client.call(tasksDefinition.checkpoint, { containerId, options: checkpointOptions }),
    'checkpoint without a path': () => client.call(tasksDefinition.checkpoint, { containerId }),
    exec: () => exec('e'),
    'exec without an id': () => exec(''),
    'exec with a path as id': () => exec('../x'),
    'exec without a spec': () => exec('e', {}),
    'start of an unknown exec': () => client.call(tasksDefinition.start, unknown),
    'get of an unknown exec': () => client.call(tasksDefinition.get, unknown),
    'wait for an unknown exec': () => client.call(tasksDefinition.wait, unknown),
    'delete of an unknown exec': () => removeExec('nope'),
    'delete of an exec without an id': () => removeExec(''),
  };
}
