import { containerd } from '../proto/gen/services.js';
import { unary } from './method.ts';

const store = 'containerd.services.sandbox.v1.Store';
const controller = 'containerd.services.sandbox.v1.Controller';
const v1 = containerd.services.sandbox.v1;

/** containerd's sandbox metadata: `containerd.services.sandbox.v1.Store`. */
export const sandboxStoreDefinition = {
  create: unary(store, 'Create', v1.StoreCreateRequest, v1.StoreCreateResponse),
  update: unary(store, 'Update', v1.StoreUpdateRequest, v1.StoreUpdateResponse),
  delete: unary(store, 'Delete', v1.StoreDeleteRequest, v1.StoreDeleteResponse),
  list: unary(store, 'List', v1.StoreListRequest, v1.StoreListResponse),
  get: unary(store, 'Get', v1.StoreGetRequest, v1.StoreGetResponse),
};

/** Sandboxes that run: `containerd.services.sandbox.v1.Controller`. */
export const sandboxControllerDefinition = {
  create: unary(controller, 'Create', v1.ControllerCreateRequest, v1.ControllerCreateResponse),
  start: unary(controller, 'Start', v1.ControllerStartRequest, v1.ControllerStartResponse),
  platform: unary(controller, 'Platform', v1.ControllerPlatformRequest, v1.ControllerPlatformResponse),
  stop: unary(controller, 'Stop', v1.ControllerStopRequest, v1.ControllerStopResponse),
  wait: unary(controller, 'Wait', v1.ControllerWaitRequest, v1.ControllerWaitResponse),
  status: unary(controller, 'Status', v1.ControllerStatusRequest, v1.ControllerStatusResponse),
  shutdown: unary(controller, 'Shutdown', v1.ControllerShutdownRequest, v1.ControllerShutdownResponse),
  metrics: unary(controller, 'Metrics', v1.ControllerMetricsRequest, v1.ControllerMetricsResponse),
  update: unary(controller, 'Update', v1.ControllerUpdateRequest, v1.ControllerUpdateResponse),
};
