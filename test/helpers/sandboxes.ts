import { runtimeName } from '../../src/process-shim/about.ts';
import {
  containersDefinition,
  sandboxControllerDefinition as controller,
  sandboxStoreDefinition as store,
} from '../../src/shared/grpc/index.ts';
import { containerd as eventTypes } from '../../src/shared/proto/gen/events.js';
import { typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import type { CallOptions } from './api-client.ts';
import type { Daemon } from './daemon.ts';
import { jsonAny, type WireAny } from './spec.ts';
import { type ContainerOptions, createContainer, createTask, type Envelope, startTask } from './tasks.ts';

export interface SandboxOptions {
  readonly runtime: string;
  /** Absent: the sandbox has none. */
  readonly spec?: WireAny;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly call?: CallOptions;
}

/** Stores a sandbox's metadata and creates it, as containerd's client does. */
export async function createSandbox(daemon: Daemon, sandboxId: string, options: SandboxOptions): Promise<void> {
  const { runtime, spec, annotations, call } = options;
  const sandbox = { sandboxId, runtime: { name: runtime }, sandboxer: 'shim', ...(spec ? { spec } : {}) };
  await daemon.client.call(store.create, { sandbox });
  const more = annotations ? { annotations: { ...annotations } } : {};
  await daemon.client.call(controller.create, { sandboxId, sandbox, sandboxer: 'shim', ...more }, call);
}

export function startSandbox(daemon: Daemon, sandboxId: string, call?: CallOptions) {
  return daemon.client.call(controller.start, { sandboxId, sandboxer: 'shim' }, call);
}

/** Both of it; answers what the start did. */
export async function launchSandbox(daemon: Daemon, id: string, options: SandboxOptions) {
  await createSandbox(daemon, id, options);
  return startSandbox(daemon, id);
}

export async function stopSandbox(
  daemon: Daemon,
  sandboxId: string,
  timeoutSecs = 0,
  call?: CallOptions,
): Promise<void> {
  await daemon.client.call(controller.stop, { sandboxId, timeoutSecs, sandboxer: 'shim' }, call);
}

export async function waitSandbox(daemon: Daemon, sandboxId: string): Promise<number> {
  const { exitStatus } = await daemon.client.call(controller.wait, { sandboxId, sandboxer: 'shim' });
  return exitStatus;
}

export function sandboxStatus(daemon: Daemon, sandboxId: string, verbose = false) {
  return daemon.client.call(controller.status, { sandboxId, sandboxer: 'shim', verbose });
}

/** Ends it and removes its metadata, as containerd's client does. */
export async function removeSandbox(daemon: Daemon, sandboxId: string, call?: CallOptions): Promise<void> {
  await daemon.client.call(controller.shutdown, { sandboxId, sandboxer: 'shim' }, call);
  await daemon.client.call(store.delete, { sandboxId });
}

/** A task of a sandbox, running; answers its pid. */
export async function launchIn(
  daemon: Daemon,
  sandbox: string,
  id: string,
  options: ContainerOptions = {},
): Promise<number> {
  await createMember(daemon, sandbox, id, options);
  const pid = await createTask(daemon, id);
  await startTask(daemon, id);
  return pid;
}

/** Stores a container that belongs to a sandbox. */
export async function createMember(
  daemon: Daemon,
  sandbox: string,
  id: string,
  options: ContainerOptions = {},
): Promise<void> {
  await createContainer(daemon, id, options);
  // Containers cannot be moved into a sandbox: it is made anew.
  const { container } = await daemon.client.call(containersDefinition.get, { id });
  await daemon.client.call(containersDefinition.delete, { id });
  await daemon.client.call(containersDefinition.create, { container: { ...container, sandbox } });
}

/** What happened, in order, as `exit task/one 137`. */
export function storyOf(messages: readonly Envelope[]): string[] {
  return messages.flatMap(({ topic, event }) => {
    const value = event?.value ?? new Uint8Array();
    switch (topic) {
      case '/sandboxes/create':
        return [`create ${eventTypes.events.SandboxCreate.decode(value).sandboxId}`];
      case '/sandboxes/start':
        return [`start ${eventTypes.events.SandboxStart.decode(value).sandboxId}`];
      case '/sandboxes/exit': {
        const { sandboxId, exitStatus } = eventTypes.events.SandboxExit.decode(value);
        return [`exit ${sandboxId} ${exitStatus}`];
      }
      case '/tasks/exit': {
        const { containerId, exitStatus } = eventTypes.events.TaskExit.decode(value);
        return [`exit task ${containerId} ${exitStatus}`];
      }
      default:
        return [];
    }
  });
}

/** A spec of the embedded runtime. */
export function hostSpec(args: readonly string[], annotations: Readonly<Record<string, string>> = {}): WireAny {
  const process = { args, cwd: '/', env: ['PATH=/usr/bin:/bin'] };
  return wireAny(jsonAny(typeUrls.spec, { ociVersion: '1.0.2', process, annotations }));
}

export { runtimeName as embeddedRuntimeName };
