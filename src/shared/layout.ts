import path from 'node:path';
import { isIdentifier, type Namespace, type SandboxId, type ShimId, type TaskId } from './identifiers.ts';
import type { PlacementMode } from './messages/shim.ts';
import { unreachable } from './util/unreachable.ts';

/** Where things are on disk; see docs/architecture.md, "On disk". */
export interface Directories {
  /** Persistent: the metadata store and the tasks' work directories. */
  readonly root: string;
  /** Gone after a reboot: sockets and bundles. */
  readonly state: string;
}

/** The directory of a namespace's shared shims, beside the bundles; no task id starts with a dot. */
export const sharedShimsDirectory = '.shims';

/** The directory of a namespace's sandboxes: a sandbox may have the id of one of its tasks. */
export const sandboxesDirectory = '.sandboxes';

/** Joins names that came from a client to a directory; the last line of defence against one that is a path. */
function child(directory: string, ...names: string[]): string {
  for (const name of names) {
    if (!isIdentifier(name)) throw new Error(`refusing to make a path of ${JSON.stringify(name)}`);
  }
  return path.join(directory, ...names);
}

export function namespaceDirectory(directory: string, namespace: Namespace): string {
  return child(directory, namespace);
}

/** `<state>/<namespace>/<task>` */
export function taskBundle(directories: Directories, namespace: Namespace, task: TaskId): string {
  return child(directories.state, namespace, task);
}

/** `<root>/<namespace>/<task>` */
export function taskWorkDirectory(directories: Directories, namespace: Namespace, task: TaskId): string {
  return child(directories.root, namespace, task);
}

/** `<state>/<namespace>/.shims/<shim>` */
export function sharedShimBundle(directories: Directories, namespace: Namespace, shim: ShimId): string {
  return child(path.join(namespaceDirectory(directories.state, namespace), sharedShimsDirectory), shim);
}

/** `<state>/<namespace>/.sandboxes/<sandbox>` */
export function sandboxBundle(directories: Directories, namespace: Namespace, sandbox: SandboxId | ShimId): string {
  return child(path.join(namespaceDirectory(directories.state, namespace), sandboxesDirectory), sandbox);
}

/** Where a task's shim has its bundle: in the task's own, or in that of the shared shim or the sandbox. */
export function shimHome(
  directories: Directories,
  of: {
    readonly namespace: Namespace;
    readonly task: TaskId;
    readonly shim: ShimId;
    readonly mode: PlacementMode;
  },
): string {
  const { namespace, task, shim, mode } = of;
  switch (mode) {
    case 'per-task':
    case 'joined':
      return taskBundle(directories, namespace, task);
    case 'shared':
      return sharedShimBundle(directories, namespace, shim);
    case 'sandbox':
      return sandboxBundle(directories, namespace, shim);
    default:
      return unreachable(mode);
  }
}

/** The socket that shims publish events to. Its address never changes while a shim lives. */
export function eventsSocket(directories: Directories): string {
  return path.join(directories.state, 'events.sock');
}

/** Names of the files of a bundle. */
export const bundleFiles = {
  /** The OCI spec. */
  config: 'config.json',
  /** Mount point of the root file system. */
  rootfs: 'rootfs',
  /** Link to the task's work directory under the root directory. */
  work: 'work',
  /** How to reach the shim: the reply of its `start` action, as containerd writes it. */
  bootstrap: 'bootstrap.json',
  /** Absolute path of the shim's binary, as containerd writes it. */
  shimBinaryPath: 'shim-binary-path',
  /** The shim's own log. */
  log: 'log',
  /** What shimd itself has to know of the task to adopt it: one JSON object, written before Create. */
  task: 'task.json',
  /** Of a sandbox's bundle: what shimd itself has to know of it. */
  sandbox: 'sandbox.json',
  /** One JSON line for each process that was announced to the shim: init once it has a pid, execs before Exec. */
  processes: 'processes.jsonl',
  /** Of a shared shim's or a sandbox's bundle: ids of tasks that were ended without the shim, a line each. */
  forgetting: 'forgetting',
} as const;
