import path from 'node:path';
import { invalidArgument } from '../shared/errors/index.ts';
import {
  type ExecId,
  type Namespace,
  type ProcessRef,
  parseExecId,
  parseTaskId,
  type TaskRef,
} from '../shared/identifiers.ts';
import type { Mount, Stdio } from '../shared/messages/process.ts';
import type { containerd } from '../shared/proto/gen/services.js';

/** Longest path of a stream; the kernel takes no longer one. */
const maxPathLength = 4095;

export function parseTask(namespace: Namespace, containerId: string): TaskRef {
  return { namespace, task: parseTaskId(containerId) };
}

/** A process named by a request: the task's init where `execId` is empty. */
export function parseProcess(namespace: Namespace, request: { containerId: string; execId: string }): ProcessRef {
  const task = parseTask(namespace, request.containerId);
  return request.execId === '' ? task : { ...task, exec: parseExecId(request.execId) };
}

export function parseExec(execId: string): ExecId {
  if (execId === '') throw invalidArgument('exec id cannot be empty');
  return parseExecId(execId);
}

interface StdioFields {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** The streams of a request: each empty, an absolute path or a URI. Throws INVALID_ARGUMENT. */
export function parseStdio({ stdin, stdout, stderr, terminal }: StdioFields): Stdio {
  checkStream('stdin', stdin);
  checkStream('stdout', stdout);
  checkStream('stderr', stderr);
  return { stdin, stdout, stderr, terminal };
}

function checkStream(name: string, value: string): void {
  if (value === '') return;
  const known = path.isAbsolute(value) || /^[a-z][a-z0-9+.-]*:\/\//.test(value);
  if (!known || value.includes('\0') || value.length > maxPathLength) {
    throw invalidArgument(
      `${name} ${JSON.stringify(value.slice(0, 256))} is neither an absolute path nor a URI: invalid argument`,
    );
  }
}

export function parseMounts(mounts: readonly containerd.types.Mount.$Properties[]): Mount[] {
  return mounts.map((mount) => ({
    type: mount.type ?? '',
    source: mount.source ?? '',
    target: mount.target ?? '',
    options: [...(mount.options ?? [])],
  }));
}

/** A runtime path of a request, which stands for the container's runtime: absolute, or a runtime's name. */
export function parseRuntimePath(runtimePath: string, containerRuntime: string): string {
  if (runtimePath === '') return containerRuntime;
  if (runtimePath.includes('\0') || runtimePath.length > maxPathLength) {
    throw invalidArgument('the runtime path is no path: invalid argument');
  }
  return runtimePath;
}
