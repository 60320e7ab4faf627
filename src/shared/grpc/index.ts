export { adminDefinition } from './admin.ts';
export { containersDefinition } from './containers.ts';
export { eventsDefinition } from './events.ts';
export { healthDefinition } from './health.ts';
export { introspectionDefinition } from './introspection.ts';
export { leasesDefinition } from './leases.ts';
export type {
  MessageType,
  RequestInitOf,
  RequestOf,
  ResponseInitOf,
  ResponseOf,
  ServerStreamMethod,
  UnaryMethod,
} from './method.ts';
export { namespacesDefinition } from './namespaces.ts';
export { sandboxControllerDefinition, sandboxStoreDefinition } from './sandboxes.ts';
export { tasksDefinition } from './tasks.ts';
export { versionDefinition } from './version.ts';
