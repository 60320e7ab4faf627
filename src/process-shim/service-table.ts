import { containerd, google } from '../shared/proto/gen/task.js';
import { type CallContext, type MethodHandler, type ServiceTable, unary } from '../shared/ttrpc/index.ts';
import type { TaskService } from './service.ts';

const api = containerd.task.v2;

/** Serves `service` under both names of the task API, whose messages are the same. */
export function taskServices(service: TaskService): ServiceTable {
  const methods: Record<string, MethodHandler> = {
    State: method(api.StateRequest, api.StateResponse, (request) => service.state(request)),
    Create: method(api.CreateTaskRequest, api.CreateTaskResponse, (request) => service.create(request)),
    Start: method(api.StartRequest, api.StartResponse, (request) => service.start(request)),
    Delete: method(api.DeleteRequest, api.DeleteResponse, (request) => service.delete(request)),
    Pids: method(api.PidsRequest, api.PidsResponse, (request) => service.pids(request)),
    Pause: method(api.PauseRequest, google.protobuf.Empty, (request) => service.pause(request)),
    Resume: method(api.ResumeRequest, google.protobuf.Empty, (request) => service.resume(request)),
    Checkpoint: method(api.CheckpointTaskRequest, google.protobuf.Empty, (request) => service.checkpoint(request)),
    Kill: method(api.KillRequest, google.protobuf.Empty, (request) => service.kill(request)),
    Exec: method(api.ExecProcessRequest, google.protobuf.Empty, (request) => service.exec(request)),
    ResizePty: method(api.ResizePtyRequest, google.protobuf.Empty, (request) => service.resizePty(request)),
    CloseIO: method(api.CloseIORequest, google.protobuf.Empty, (request) => service.closeIo(request)),
    Update: method(api.UpdateTaskRequest, google.protobuf.Empty, (request) => service.update(request)),
    Wait: method(api.WaitRequest, api.WaitResponse, (request, context) => service.wait(request, context)),
    Stats: method(api.StatsRequest, api.StatsResponse, (request) => service.stats(request)),
    Connect: method(api.ConnectRequest, api.ConnectResponse, (request) => service.connect(request)),
    Shutdown: method(api.ShutdownRequest, google.protobuf.Empty, () => service.shutdown()),
  };
  return { 'containerd.task.v2.Task': methods, 'containerd.task.v3.Task': methods };
}

/** One method, with the codecs of its messages. */
export function method<Req, Res>(
  request: { decode(bytes: Uint8Array): Req },
  response: { encode(message: Res): { finish(): Uint8Array } },
  handle: (request: Req, context: CallContext) => NoInfer<Res> | Promise<NoInfer<Res>>,
): MethodHandler {
  const codec = {
    decode: (bytes: Uint8Array): Req => request.decode(bytes),
    encode: (message: Res): Uint8Array => response.encode(message).finish(),
  };
  return unary(codec, handle);
}
