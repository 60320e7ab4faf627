import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { containerd as events } from '../../../src/shared/proto/gen/events.js';
import { containerd, google } from '../../../src/shared/proto/gen/task.js';
import { TtrpcClient, TtrpcServer, type UnaryMethod, unary } from '../../../src/shared/ttrpc/index.ts';

const api = containerd.task.v2;

/** The build under test. */
export const binary = path.resolve(process.env['SHIMD_BUILD'] ?? 'dist', 'bin/containerd-shim-process-v1');

export const isRoot = process.getuid?.() === 0;

/** The user `nobody`; tests of an ordinary user's shim run as it where they are started by root. */
export const nobody = 65_534;

const callBudget = 20_000;

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

/** Waits until `condition` gives something other than undefined or false. */
export async function eventually<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = Date.now() + 10_000;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`${what}: did not come true within 10 s`);
    await delay(5);
  }
}

export interface SeenEvent {
  readonly topic: string;
  readonly task: string;
  readonly id: string;
  readonly pid: number;
  readonly status: number;
}

/** A temporary directory with bundles, an events endpoint and any number of shims; ends all of it. */
export class Ground {
  readonly directory: string;
  readonly user: number | undefined;
  readonly events: SeenEvent[] = [];
  #server: TtrpcServer;
  readonly #shims: Shim[] = [];

  private constructor(user: number | undefined) {
    this.user = user;
    this.directory = mkdtempSync(path.join(tmpdir(), 'process-shim-'));
    if (user !== undefined) chownSync(this.directory, user, user);
    this.#server = this.#eventsServer();
  }

  #eventsServer(): TtrpcServer {
    return new TtrpcServer({
      services: {
        'containerd.services.events.ttrpc.v1.Events': {
          Forward: unary(
            {
              decode: (bytes: Uint8Array) => events.services.events.ttrpc.v1.ForwardRequest.decode(bytes),
              encode: () => new Uint8Array(),
            },
            (request) => this.#see(request),
          ),
        },
      },
    });
  }

  static async open(options: { readonly user?: number } = {}): Promise<Ground> {
    const ground = new Ground(options.user);
    await ground.#server.listen(ground.eventsAddress, { mode: 0o666 });
    return ground;
  }

  closeEvents(): Promise<void> {
    return this.#server.close();
  }

  async openEvents(): Promise<void> {
    this.#server = this.#eventsServer();
    await this.#server.listen(this.eventsAddress, { mode: 0o666 });
  }

  get eventsAddress(): string {
    return path.join(this.directory, 'events.sock');
  }

  #see(request: { envelope?: { topic?: string | null; event?: { value?: Uint8Array | null } | null } | null }): void {
    const { topic, event } = request.envelope ?? {};
    // All task events begin with the container's id; TaskExit is the one with most of what is looked at.
    const value = event?.value ?? new Uint8Array();
    const type = topic === '/tasks/exit' ? 'TaskExit' : topic === '/tasks/delete' ? 'TaskDelete' : undefined;
    if (type !== undefined) {
      const { containerId, id, pid, exitStatus } = events.events[type].decode(value);
      this.events.push({ topic: topic ?? '', task: containerId, id, pid, status: exitStatus });
    } else if (topic?.startsWith('/tasks/exec-')) {
      const { containerId, execId, pid } = events.events.TaskExecStarted.decode(value);
      this.events.push({ topic, task: containerId, id: execId, pid, status: 0 });
    } else {
      const { containerId } = events.events.TaskPaused.decode(value);
      this.events.push({ topic: topic ?? '', task: containerId, id: containerId, pid: 0, status: 0 });
    }
  }

  topics(task: string, id = task): string[] {
    return this.events.filter((event) => event.task === task && (event.id || task) === id).map(({ topic }) => topic);
  }

  /** A bundle with this process; `spec` is merged over a plain one. */
  bundle(id: string, args: readonly string[], process: object = {}, spec: object = {}): string {
    const bundle = path.join(this.directory, 'ns', id);
    mkdirSync(bundle, { recursive: true });
    const user = this.user ?? globalThis.process.getuid?.() ?? 0;
    const config = {
      ociVersion: '1.1.0',
      root: { path: '/' },
      process: {
        args,
        cwd: '/',
        env: ['PATH=/usr/bin:/bin'],
        user: { uid: user, gid: this.user ?? globalThis.process.getgid?.() ?? 0 },
        ...process,
      },
      ...spec,
    };
    writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(config));
    if (this.user !== undefined) {
      chownSync(path.dirname(bundle), this.user, this.user);
      chownSync(bundle, this.user, this.user);
    }
    return bundle;
  }

  fifo(name: string): string {
    const file = path.join(this.directory, name);
    execFileSync('mkfifo', ['-m', '666', file]);
    return file;
  }

  file(name: string): string {
    return path.join(this.directory, name);
  }

  /** Runs the binary as a daemon does. */
  run(args: readonly string[], options: { readonly cwd: string; readonly input?: Uint8Array }): Promise<Buffer> {
    return run(binary, args, {
      ...options,
      ...(this.user === undefined ? {} : { user: this.user }),
      env: { PATH: process.env['PATH'] ?? '', TTRPC_ADDRESS: this.eventsAddress },
    });
  }

  async shim(id = 'shim'): Promise<Shim> {
    const bundle = this.bundle(id, ['true']);
    const params = containerd.runtime.bootstrap.v1.BootstrapParams.encode({
      instanceId: id,
      namespace: 'ns',
      containerdTtrpcAddress: this.eventsAddress,
      containerdGrpcAddress: '/nowhere/shimd.sock',
      socketDir: path.join(this.directory, 's'),
    }).finish();
    const reply = await this.run(['-namespace', 'ns', '-id', id, '-address', '/nowhere', 'start'], {
      cwd: bundle,
      input: params,
    });
    const result = containerd.runtime.bootstrap.v1.BootstrapResult.decode(reply);
    const client = await TtrpcClient.connect(result.address, { deadline: Date.now() + callBudget });
    const { shimPid } = await new Shim(this, client, result.address, 0).connect('');
    const shim = new Shim(this, client, result.address, shimPid);
    this.#shims.push(shim);
    return shim;
  }

  async close(): Promise<void> {
    for (const shim of this.#shims) await shim.end();
    await this.#server.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
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

export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

interface RunOptions {
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly input?: Uint8Array;
  readonly user?: number;
}

/** Runs a program to its end; gives its stdout. Throws with its stderr where it fails. */
export function run(file: string, args: readonly string[], options: RunOptions): Promise<Buffer> {
  const { cwd, env, input, user } = options;
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(file, args, {
      cwd,
      env,
      ...(user === undefined ? {} : { uid: user, gid: user }),
      timeout: callBudget,
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(Buffer.concat(out));
      else
        reject(new Error(`${file} ${args.join(' ')} ended with ${signal ?? code}: ${Buffer.concat(err).toString()}`));
    });
    child.stdin?.end(input);
  });
}

/** Lets every user into a directory made by root. */
export function openToAll(directory: string): void {
  chmodSync(directory, 0o755);
}
