import type { TaskApiVersion } from '../../src/shared/messages/index.ts';
import { containerd, google } from '../../src/shared/proto/gen/task.js';
import type { UnaryMethod } from '../../src/shared/ttrpc/method.ts';

const api = containerd.task.v2;
const { Empty } = google.protobuf;

interface Encoder<Req> {
  encode(message: Req): { finish(): Uint8Array };
}

interface Decoder<Res> {
  decode(bytes: Uint8Array): Res;
}

/** The methods of one version of the task API. Both versions have the same messages under another service name. */
function methodsOf(service: string) {
  const unary = <Req, Res>(name: string, request: Encoder<Req>, response: Decoder<Res>): UnaryMethod<Req, Res> => ({
    service,
    name,
    encode: (message) => request.encode(message).finish(),
    decode: (bytes) => response.decode(bytes),
  });
  return {
    state: unary('State', api.StateRequest, api.StateResponse),
    create: unary('Create', api.CreateTaskRequest, api.CreateTaskResponse),
    start: unary('Start', api.StartRequest, api.StartResponse),
    delete: unary('Delete', api.DeleteRequest, api.DeleteResponse),
    pids: unary('Pids', api.PidsRequest, api.PidsResponse),
    pause: unary('Pause', api.PauseRequest, Empty),
    resume: unary('Resume', api.ResumeRequest, Empty),
    checkpoint: unary('Checkpoint', api.CheckpointTaskRequest, Empty),
    kill: unary('Kill', api.KillRequest, Empty),
    exec: unary('Exec', api.ExecProcessRequest, Empty),
    resizePty: unary('ResizePty', api.ResizePtyRequest, Empty),
    closeIo: unary('CloseIO', api.CloseIORequest, Empty),
    update: unary('Update', api.UpdateTaskRequest, Empty),
    wait: unary('Wait', api.WaitRequest, api.WaitResponse),
    stats: unary('Stats', api.StatsRequest, api.StatsResponse),
    connect: unary('Connect', api.ConnectRequest, api.ConnectResponse),
    shutdown: unary('Shutdown', api.ShutdownRequest, Empty),
  };
}

export type TaskMethods = ReturnType<typeof methodsOf>;

/** Full name of the task service of a version. */
export const taskService = (version: TaskApiVersion): string => `containerd.task.v${version}.Task`;

export const taskMethods: Readonly<Record<TaskApiVersion, TaskMethods>> = {
  2: methodsOf(taskService(2)),
  3: methodsOf(taskService(3)),
};
