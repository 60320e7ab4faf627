export { ApiServer, type ApiServerOptions, createApiServer, type ListenOptions, type Peer } from './api-server.ts';
export type { EventExchange } from './event-exchange.ts';
export type { HealthReport } from './health-report.ts';
export { containerUpdated } from './metadata-events.ts';
export type { ServiceKeeper } from './service-keeper.ts';
export type { ShimSummary, SlotSummary, TaskCreation, TaskManager, TaskProcess } from './task-manager.ts';
export type { VersionInfo } from './version-service.ts';
