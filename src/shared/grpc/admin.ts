import { google, shimd } from '../proto/gen/admin.js';
import { serverStream, unary } from './method.ts';

const service = 'shimd.v1.Admin';
const v1 = shimd.v1;

/** What containerd's API cannot say: `shimd.v1.Admin`. */
export const adminDefinition = {
  deleteTask: unary(service, 'DeleteTask', v1.DeleteTaskRequest, v1.DeleteTaskResponse),
  stopTask: unary(service, 'StopTask', v1.StopTaskRequest, v1.StopTaskResponse),
  listShims: unary(service, 'ListShims', google.protobuf.Empty, v1.ListShimsResponse),
  listSlots: unary(service, 'ListSlots', google.protobuf.Empty, v1.ListSlotsResponse),
  shimLog: serverStream(service, 'ShimLog', v1.ShimLogRequest, v1.ShimLogResponse),
  info: unary(service, 'Info', google.protobuf.Empty, v1.InfoResponse),
  health: unary(service, 'Health', google.protobuf.Empty, v1.HealthResponse),
  events: serverStream(service, 'Events', v1.EventsRequest, v1.Event),
  restartSlot: unary(service, 'RestartSlot', v1.RestartSlotRequest, google.protobuf.Empty),
};
