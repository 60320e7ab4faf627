import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  adminDefinition,
  containersDefinition,
  tasksDefinition,
  versionDefinition,
} from '../../src/shared/grpc/index.ts';
import { sharedShimsDirectory } from '../../src/shared/layout.ts';
import { ApiClient } from './api-client.ts';
import { bundlesIn, shimSocketsIn } from './bundles.ts';
import type { DaemonOptions } from './daemon-options.ts';
import { cgroupsNaming, isAlive, mountsNaming, processesNaming } from './leftovers.ts';
import { type Finished, mainProgram, Program, type RunOptions } from './program.ts';
import { type Generation, runc } from './runtimes.ts';
import { makeDirectory, noteSocket, uniqueName } from './test-run.ts';
import { waitFor } from './wait-for.ts';

export type { DaemonOptions } from './daemon-options.ts';

/** One line of the daemon's log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** Everything that has to be gone after a test: see `Daemon.leftovers`. */
export interface Leftovers {
  readonly processes: readonly string[];
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
  readonly bundles: readonly string[];
}

export const nothingLeft: Leftovers = { processes: [], mounts: [], cgroups: [], bundles: [] };

/** A shimd daemon of the build under test, in a directory of its own, with a namespace that no other test uses. */
export class Daemon implements AsyncDisposable {
  readonly directory: string = makeDirectory();
  readonly root: string = path.join(this.directory, 'root');
  readonly state: string;
  readonly socket: string;
  readonly namespace: string = uniqueName('ns');
  readonly client: ApiClient;
  readonly #options: DaemonOptions;
  #program: Program | undefined;
  /** Output of the incarnations that are gone. */
  #earlier = '';

  private constructor(options: DaemonOptions) {
    this.#options = options;
    this.state = options.state ?? path.join(this.directory, 'state');
    this.socket = path.join(this.state, 'shimd.sock');
    this.client = new ApiClient(this.socket, this.namespace);
  }

  /** Starts one and waits until it serves. Give it to `await using`, or dispose of it in `afterEach`. */
  static async start(options: DaemonOptions = {}): Promise<Daemon> {
    const daemon = new Daemon(options);
    try {
      await daemon.start();
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
    return daemon;
  }

  /** The environment that its programs run in. */
  get environment(): NodeJS.ProcessEnv {
    const { generation, programs = [], env = {} } = this.#options;
    const directories = [
      ...programs,
      ...(generation ? [path.dirname(generation.shim), path.dirname(runc)] : []),
      process.env['PATH'] ?? '/usr/bin:/bin',
    ];
    // The variables of the tests' own runner are not the daemon's business, and NODE_OPTIONS would load its hooks.
    const { NODE_OPTIONS: _, ...own } = process.env;
    return { ...own, PATH: directories.join(path.delimiter), ...env };
  }

  get pid(): number {
    const pid = this.#program?.child.pid;
    if (pid === undefined) throw new Error('the daemon is not running');
    return pid;
  }

  /** The command line of `serve`, without the program. */
  get serveArguments(): string[] {
    const { workers = 2, args = [] } = this.#options;
    const options = { root: this.root, state: this.state, address: this.socket, config: this.#configFile };
    return [
      'serve',
      ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
      '--log-level',
      'debug',
      '--workers',
      String(workers),
      ...args,
    ];
  }

  get #configFile(): string {
    return path.join(this.directory, 'config.toml');
  }

  /** Starts it (again) and waits until it answers. */
  async start(): Promise<void> {
    const { placement, config = '' } = this.#options;
    const text = `${placement ? `[placement]\nmode = "${placement}"\nidle_grace = "1s"\n` : ''}${config}`;
    writeFileSync(this.#configFile, text);
    if (this.#program) this.#earlier += this.#program.stdout + this.#program.stderr;
    // The daemon lives as long as its test lets it.
    const { nofile } = this.#options;
    const command = [process.execPath, mainProgram, ...this.serveArguments];
    // `prlimit` becomes the daemon: the pid is its own.
    const [file = '', ...args] = nofile === undefined ? command : ['prlimit', `--nofile=${nofile}`, ...command];
    const program = new Program(file, args, {
      env: this.environment,
      timeout: 900_000,
    });
    this.#program = program;
    const ready = waitFor(
      async () => {
        if (program.child.exitCode !== null || program.child.signalCode !== null) return 'ended';
        if (!/^shimd ready: /m.test(program.stdout)) return undefined;
        await this.client.call(versionDefinition.version, {}, { budget: 1000 });
        return 'serving';
      },
      { budget: 20_000, doing: 'the daemon to serve' },
    );
    const outcome = await ready.catch((error: unknown) => {
      throw new Error(`the daemon does not serve:\n${program.stdout}${program.stderr}`, { cause: error });
    });
    if (outcome === 'ended') throw new Error(`the daemon ended at its start:\n${program.stdout}${program.stderr}`);
  }

  /** Everything that it has written. */
  get output(): string {
    return this.#earlier + (this.#program ? this.#program.stdout + this.#program.stderr : '');
  }

  /** The lines of its log that are JSON. */
  get log(): LogLine[] {
    return this.output.split('\n').flatMap((line) => {
      try {
        return line.startsWith('{') ? [JSON.parse(line) as LogLine] : [];
      } catch {
        return [];
      }
    });
  }

  /** SIGTERM, and its end. */
  async stop(): Promise<Finished> {
    return this.#end('SIGTERM');
  }

  /** SIGKILL: what it was doing is cut in half. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<Finished> {
    const program = this.#program;
    if (!program) throw new Error('the daemon is not running');
    this.noteSockets();
    program.child.kill(signal);
    const finished = await program.finished;
    return finished;
  }

  get running(): boolean {
    const child = this.#program?.child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Runs the `shimd` command against this daemon, in its namespace. */
  shimd(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return this.startShimd(args, options).finished;
  }

  startShimd(args: readonly string[], options: RunOptions = {}): Program {
    const all = [mainProgram, '--address', this.socket, '--namespace', this.namespace, ...args];
    return new Program(process.execPath, all, { env: this.environment, cwd: this.directory, ...options });
  }

  /** Runs a generation's `ctr` against this daemon, in its namespace. */
  ctr(generation: Generation, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return this.startCtr(generation, args, options).finished;
  }

  startCtr(generation: Generation, args: readonly string[], options: RunOptions = {}): Program {
    const all = ['--address', this.socket, '--namespace', this.namespace, ...args];
    return new Program(generation.ctr, all, { env: this.environment, cwd: this.directory, ...options });
  }

  /** Addresses of the shims whose bundles are there, as file paths. */
  shimSockets(): string[] {
    return shimSocketsIn(this.state);
  }

  /** Has the check at the end look for the shims that are there now. */
  noteSockets(): string[] {
    const sockets = this.shimSockets();
    for (const socket of sockets) noteSocket(socket);
    return sockets;
  }

  /** What there is of tasks and shims outside the daemon's process and its store. */
  leftovers(): Leftovers {
    const own = new Set(this.running ? [this.pid] : []);
    const found = new Map<number, string>();
    for (const mark of [this.directory, this.namespace]) {
      for (const { pid, command } of processesNaming(mark)) if (!own.has(pid)) found.set(pid, command);
    }
    return {
      processes: [...found].map(([pid, command]) => `${pid} ${command}`),
      mounts: mountsNaming(this.directory),
      cgroups: cgroupsNaming(this.namespace).filter((directory) => path.dirname(directory).includes(this.namespace)),
      bundles: this.bundles(),
    };
  }

  /** Directories of tasks and of shared shims, in both trees, hidden ones included. */
  bundles(): string[] {
    return [this.state, this.root].flatMap((directory) => bundlesIn(path.join(directory, this.namespace)));
  }

  /**
   * Waits for nothing to be left, and answers what there is in the end: compare it with `nothingLeft`. Shared shims are
   * kept for a while for the next task (with `placement` given, for a second): `sharedShims` leaves them out.
   */
  async settled(options: { readonly sharedShims?: boolean; readonly budget?: number } = {}): Promise<Leftovers> {
    const { sharedShims = false, budget = 10_000 } = options;
    const counted = (): Leftovers => {
      const all = this.leftovers();
      if (!sharedShims) return all;
      return {
        ...all,
        processes: all.processes.filter((command) => !command.includes('containerd-shim-')),
        bundles: all.bundles.filter((bundle) => !bundle.includes(`/${sharedShimsDirectory}/`)),
      };
    };
    const isClean = (): boolean => Object.values(counted()).every((list: readonly string[]) => list.length === 0);
    await waitFor(isClean, { budget, every: 50 }).catch(() => undefined);
    return counted();
  }

  /** Ends every task, the daemon and what is left of both, whatever state they are in. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.noteSockets();
    if (this.running) {
      await this.#destroyEverything().catch(() => undefined);
      // What the daemon still has to end before it is told to stop and leave the rest running; idle shims too, where it
      // does not keep them for long.
      await this.settled({ sharedShims: this.#options.placement === undefined });
      const ended = this.stop();
      await waitFor(() => !this.running, { budget: 10_000, doing: 'the daemon to stop' }).catch(() => this.kill());
      await ended;
    }
    this.client.close();
    // Of a test that failed, or of a daemon that was left dead: what is killed here cannot unlink its socket.
    const sockets = this.shimSockets();
    for (const mark of [this.directory, this.namespace]) {
      for (const { pid } of processesNaming(mark)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Gone by itself.
        }
        await waitFor(() => !isAlive(pid)).catch(() => undefined);
      }
    }
    for (const socket of sockets) rmSync(socket, { force: true });
    // Never through a live mount: what is mounted there may be everybody's.
    for (const point of mountsNaming(this.directory)) spawnSync('umount', ['-l', point]);
    if (mountsNaming(this.directory).length === 0) rmSync(this.directory, { recursive: true, force: true });
  }

  async #destroyEverything(): Promise<void> {
    const { tasks } = await this.client.call(tasksDefinition.list, {}, { budget: 10_000 });
    await Promise.allSettled(
      (tasks ?? []).map((task) =>
        this.client.call(adminDefinition.deleteTask, { containerId: task.id ?? '', force: true }, { budget: 15_000 }),
      ),
    );
    const { containers } = await this.client.call(containersDefinition.list, {}, { budget: 10_000 });
    await Promise.allSettled(
      (containers ?? []).map(({ id }) =>
        this.client.call(containersDefinition.delete, { id: id ?? '' }, { budget: 10_000 }),
      ),
    );
  }
}
