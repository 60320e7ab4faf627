/** A part of the daemon, as `ctr plugins ls` shows it. */
export interface Plugin {
  readonly type: string;
  readonly id: string;
  readonly requires: readonly string[];
}

const types = {
  event: 'io.containerd.event.v1',
  metadata: 'io.containerd.metadata.v1',
  runtime: 'io.containerd.runtime.v2',
  sandbox: 'io.containerd.sandbox.controller.v1',
  monitor: 'io.containerd.monitor.container.v1',
  grpc: 'io.containerd.grpc.v1',
} as const;

/** The plugin that answers for runtimes: clients ask it for a runtime's features. */
export const runtimePlugin = { type: types.runtime, id: 'task' } as const;

/** What is served, by the names that containerd's clients know it by; nothing that is not. */
export const plugins: readonly Plugin[] = [
  { type: types.event, id: 'exchange', requires: [] },
  { type: types.metadata, id: 'lmdb', requires: [] },
  { ...runtimePlugin, requires: [types.event, types.metadata] },
  { type: types.monitor, id: 'restart', requires: [types.event, types.runtime, types.metadata] },
  { type: types.grpc, id: 'containers', requires: [types.metadata, types.event] },
  { type: types.grpc, id: 'events', requires: [types.event] },
  { type: types.grpc, id: 'healthcheck', requires: [] },
  { type: types.grpc, id: 'introspection', requires: [] },
  { type: types.grpc, id: 'leases', requires: [types.metadata] },
  { type: types.grpc, id: 'namespaces', requires: [types.metadata, types.event] },
  { type: types.sandbox, id: 'shim', requires: [types.runtime, types.event] },
  { type: types.grpc, id: 'sandbox-controllers', requires: [types.sandbox, types.event] },
  { type: types.grpc, id: 'sandboxes', requires: [types.metadata] },
  { type: types.grpc, id: 'tasks', requires: [types.runtime, types.metadata, types.event] },
  { type: types.grpc, id: 'version', requires: [] },
];
