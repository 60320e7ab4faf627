import { containerd, google } from '../proto/gen/services.js';
import { unary } from './method.ts';

const service = 'containerd.services.tasks.v1.Tasks';
const v1 = containerd.services.tasks.v1;

/** containerd's tasks: `containerd.services.tasks.v1.Tasks`. */
export const tasksDefinition = {
  create: unary(service, 'Create', v1.CreateTaskRequest, v1.CreateTaskResponse),
  start: unary(service, 'Start', v1.StartRequest, v1.StartResponse),
  delete: unary(service, 'Delete', v1.DeleteTaskRequest, v1.DeleteResponse),
  deleteProcess: unary(service, 'DeleteProcess', v1.DeleteProcessRequest, v1.DeleteResponse),
  get: unary(service, 'Get', v1.GetRequest, v1.GetResponse),
  list: unary(service, 'List', v1.ListTasksRequest, v1.ListTasksResponse),
  kill: unary(service, 'Kill', v1.KillRequest, google.protobuf.Empty),
  exec: unary(service, 'Exec', v1.ExecProcessRequest, google.protobuf.Empty),
  resizePty: unary(service, 'ResizePty', v1.ResizePtyRequest, google.protobuf.Empty),
  closeIO: unary(service, 'CloseIO', v1.CloseIORequest, google.protobuf.Empty),
  pause: unary(service, 'Pause', v1.PauseTaskRequest, google.protobuf.Empty),
  resume: unary(service, 'Resume', v1.ResumeTaskRequest, google.protobuf.Empty),
  listPids: unary(service, 'ListPids', v1.ListPidsRequest, v1.ListPidsResponse),
  checkpoint: unary(service, 'Checkpoint', v1.CheckpointTaskRequest, v1.CheckpointTaskResponse),
  update: unary(service, 'Update', v1.UpdateTaskRequest, google.protobuf.Empty),
  metrics: unary(service, 'Metrics', v1.MetricsRequest, v1.MetricsResponse),
  wait: unary(service, 'Wait', v1.WaitRequest, v1.WaitResponse),
};
