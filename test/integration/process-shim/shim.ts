import path from 'node:path';
import { containerd, google } from '../../../src/shared/proto/gen/task.js';
import type { TtrpcClient, UnaryMethod } from '../../../src/shared/ttrpc/index.ts';
import type { Ground } from './ground.ts';
import { callBudget, eventually, isRunning } from './host.ts';

const api = containerd.task.v2;

function method<Req, Res>(
  name: string,
  request: { encode(message: Req): { finish(): Uint8Array } },
  response: { decode(bytes: Uint8Array): Res },
  version: 'v2' | 'v3',
): UnaryMethod<Req, Res> {
  return {
    service: `containerd.task.${version}.Task`,
    name,
    encode: (message) => request.encode(message).finish(),
    decode: (bytes) => response.decode(bytes),
  };
}

export class Shim {
  readonly ground: Ground;
  readonly client: TtrpcClient;
  readonly address: string;
  readonly pid: number;
  readonly #tasks = new Map<string, string>();

  constructor(ground: Ground, client: TtrpcClient, address: string, pid: number) {
    this.ground = ground;
    this.client = client;
    this.address = address;
    this.pid = pid;
  }

  call<Req, Res>(
    name: string,
    request: { encode(message: Req): { finish(): Uint8Array } },
    response: { decode(bytes: Uint8Array): Res },
    message: NoInfer<Req>,
    version: 'v2' | 'v3' = 'v3',
  ): Promise<Res> {
    return this.client.call(method(name, request, response, version), message, { deadline: Date.now() + callBudget });
  }

  async create(id: string, bundle: string, stdio: object = {}) {
    const created = await this.call('Create', api.CreateTaskRequest, api.CreateTaskResponse, { id, bundle, ...stdio });
    this.#tasks.set(id, bundle);
    return created;
  }

  /** Create in a bundle with this process. */
  createOf(id: string, args: readonly string[], process: object = {}, stdio: object = {}) {
    return this.create(id, this.ground.bundle(id, args, process), stdio);
  }

  start = (id: string, execId = '') => this.call('Start', api.StartRequest, api.StartResponse, { id, execId });
  wait = (id: string, execId = '') => this.call('Wait', api.WaitRequest, api.WaitResponse, { id, execId });
  state = (id: string, execId = '') => this.call('State', api.StateRequest, api.StateResponse, { id, execId });
  pids = (id: string) => this.call('Pids', api.PidsRequest, api.PidsResponse, { id });
  pause = (id: string) => this.call('Pause', api.PauseRequest, google.protobuf.Empty, { id });
  resume = (id: string) => this.call('Resume', api.ResumeRequest, google.protobuf.Empty, { id });
  stats = (id: string) => this.call('Stats', api.StatsRequest, api.StatsResponse, { id });
  update(id: string, resources?: object) {
    const value = Buffer.from(JSON.stringify(resources ?? {}));
    const any = { type_url: 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources', value };
    const request = { id, ...(resources === undefined ? {} : { resources: any }) };
    return this.call('Update', api.UpdateTaskRequest, google.protobuf.Empty, request);
  }

  checkpoint = (id: string) => this.call('Checkpoint', api.CheckpointTaskRequest, google.protobuf.Empty, { id });
  connect = (id: string) => this.call('Connect', api.ConnectRequest, api.ConnectResponse, { id });
  shutdown = () => this.call('Shutdown', api.ShutdownRequest, google.protobuf.Empty, { id: 'shim' });
  closeStdin = (id: string, execId = '') =>
    this.call('CloseIO', api.CloseIORequest, google.protobuf.Empty, { id, execId, stdin: true });
  resize = (id: string, width: number, height: number) =>
    this.call('ResizePty', api.ResizePtyRequest, google.protobuf.Empty, { id, width, height });

  kill(id: string, signal: number, options: { readonly execId?: string; readonly all?: boolean } = {}) {
    return this.call('Kill', api.KillRequest, google.protobuf.Empty, { id, signal, ...options });
  }

  async delete(id: string, execId = '') {
    const exit = await this.call('Delete', api.DeleteRequest, api.DeleteResponse, { id, execId });
    if (execId === '') this.#tasks.delete(id);
    return exit;
  }

  exec(id: string, execId: string, process: object, stdio: object = {}) {
    const user = this.ground.user ?? globalThis.process.getuid?.() ?? 0;
    const spec = {
      type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
      value: Buffer.from(
        JSON.stringify({ cwd: '/', env: ['PATH=/usr/bin:/bin'], user: { uid: user, gid: user }, ...process }),
      ),
    };
    return this.call('Exec', api.ExecProcessRequest, google.protobuf.Empty, { id, execId, spec, ...stdio });
  }

  deleteAction(id: string): Promise<Buffer> {
    const bundle = path.join(this.ground.directory, 'ns', id);
    return this.ground.run(['-namespace', 'ns', '-id', id, '-bundle', bundle, 'delete'], { cwd: bundle });
  }

  /** Kills the shim and what it leaves. */
  async end(): Promise<void> {
    this.client.close();
    if (isRunning(this.pid)) process.kill(this.pid, 'SIGKILL');
    await eventually('the shim is gone', () => !isRunning(this.pid));
    for (const id of this.#tasks.keys()) await this.deleteAction(id);
  }
}
