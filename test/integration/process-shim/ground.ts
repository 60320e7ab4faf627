import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { containerd as events } from '../../../src/shared/proto/gen/events.js';
import { containerd } from '../../../src/shared/proto/gen/task.js';
import { TtrpcClient, TtrpcServer, unary } from '../../../src/shared/ttrpc/index.ts';
import { binary, callBudget, run } from './host.ts';
import { Shim } from './shim.ts';

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
