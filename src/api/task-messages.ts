import type { Exit, ProcessInfo, TaskStatus } from '../shared/messages/process.ts';
import { containerd } from '../shared/proto/gen/services.js';
import { wireAny } from '../shared/wire/any.ts';
import type { TaskProcess } from './task-manager.ts';

const { Status } = containerd.v1.types;

const statuses: Readonly<Record<TaskStatus, containerd.v1.types.Status>> = {
  unknown: Status.UNKNOWN,
  created: Status.CREATED,
  running: Status.RUNNING,
  stopped: Status.STOPPED,
  paused: Status.PAUSED,
  pausing: Status.PAUSING,
};

/** A process as clients see it: `id` is the exec's, or the container's for init. */
export function writeProcess(process: TaskProcess): containerd.v1.types.Process.$Properties {
  return {
    id: process.exec ?? process.task,
    pid: process.pid,
    status: statuses[process.status],
    ...process.stdio,
    ...(process.exit === undefined ? {} : writeWait(process.exit)),
  };
}

export function writeWait(exit: Exit): containerd.services.tasks.v1.WaitResponse.$Properties {
  return { exitStatus: exit.status, exitedAt: exit.exitedAt };
}

export function writeDelete(exit: Exit): containerd.services.tasks.v1.DeleteResponse.$Properties {
  return { pid: exit.pid, ...writeWait(exit) };
}

export function writeProcessInfo({ pid, info }: ProcessInfo): containerd.v1.types.ProcessInfo.$Properties {
  return { pid, info: wireAny(info) ?? null };
}
