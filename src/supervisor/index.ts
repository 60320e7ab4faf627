export type {
  CallOptions,
  CreateRequest,
  Launch,
  ProcessView,
  ShimView,
  SlotView,
  SupervisorOptions,
} from './options.ts';
export { defaultPlacement, type PlacementConfig, type PlacementSetting } from './placement-config.ts';
export { Supervisor } from './supervisor.ts';
