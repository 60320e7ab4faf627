export type { Container, ContainerDescription } from './container.ts';
export type { ContainerStore } from './container-store.ts';
export type { EventLog } from './event-log.ts';
export type { ExitStore, StoredExit } from './exit-store.ts';
export type { Lease, LeaseResource, LeaseStore } from './lease-store.ts';
export type { NamespaceEntry, NamespaceStore } from './namespace-store.ts';
export type { SandboxDescription, SandboxEntry } from './sandbox.ts';
export type { SandboxStore } from './sandbox-store.ts';
export { Store } from './store.ts';
