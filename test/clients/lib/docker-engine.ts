import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Daemon, Leftovers } from '../../helpers/daemon.ts';
import { isAlive, mountsNaming, processesNaming } from '../../helpers/leftovers.ts';
import { type Finished, Program, type RunOptions, runProgram } from '../../helpers/program.ts';
import { busyboxRootfs, type Engine, engine } from '../../helpers/runtimes.ts';
import { cgroupParent, makeDirectory } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';

export interface EngineOptions {
  /** Containers live on without dockerd. Not possible in a swarm. */
  readonly liveRestore?: boolean;
}

/** What every image that `importRootfs` makes is called. */
export const image = 'busybox';

/** dockerd looks here for plugins and makes it where it is not there; no option names another place. */
const pluginDirectory = '/run/docker/plugins';

/**
 * A dockerd that runs its containers on a shimd daemon. Everything of it is in one directory and in a network namespace of
 * its own, in which there is a loopback device and nothing else: without a bridge of its own, dockerd removes `docker0`.
 */
export class DockerEngine implements AsyncDisposable {
  readonly daemon: Daemon;
  readonly directory: string = makeDirectory();
  readonly #programs: Engine;
  readonly #options: EngineOptions;
  readonly #madePlugins: boolean = !existsSync(pluginDirectory);
  #program: Program | undefined;

  private constructor(daemon: Daemon, programs: Engine, options: EngineOptions) {
    this.daemon = daemon;
    this.#programs = programs;
    this.#options = options;
  }

  /** Starts one, waits until it serves, and gives it an image. */
  static async start(daemon: Daemon, options: EngineOptions = {}): Promise<DockerEngine> {
    if (engine === undefined) throw new Error('there is no Docker Engine: run scripts/fetch-runtimes.mjs --engine');
    const made = new DockerEngine(daemon, engine, options);
    try {
      made.#makeNetwork();
      await made.start();
      await made.#importRootfs();
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
    return made;
  }

  get #environment(): NodeJS.ProcessEnv {
    const { dockerd, docker, libraries } = this.#programs;
    const { environment } = this.daemon;
    const directories = [path.dirname(dockerd), path.dirname(docker), environment['PATH'] ?? ''];
    return {
      ...environment,
      PATH: directories.join(path.delimiter),
      LD_LIBRARY_PATH: libraries.join(path.delimiter),
      DOCKER_HOST: `unix://${this.#file('docker.sock')}`,
      DOCKER_CONFIG: this.#file('client'),
    };
  }

  #file(name: string): string {
    return path.join(this.directory, name);
  }

  #makeNetwork(): void {
    const network = this.#file('network');
    writeFileSync(network, '');
    const busybox = path.join(busyboxRootfs, 'bin/busybox');
    const made = spawnSync('unshare', [`--net=${network}`, busybox, 'ifconfig', 'lo', '127.0.0.1', 'up']);
    if (made.status !== 0) throw new Error(`no network namespace for dockerd: ${String(made.stderr)}`);
  }

  get pid(): number {
    const pid = this.#program?.child.pid;
    if (pid === undefined) throw new Error('dockerd is not running');
    return pid;
  }

  get running(): boolean {
    const child = this.#program?.child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Everything that the present dockerd has written. */
  get output(): string {
    return this.#program?.stderr ?? '';
  }

  /** Starts it (again) and waits until it answers. */
  async start(): Promise<void> {
    const { liveRestore = false } = this.#options;
    const { namespace, socket } = this.daemon;
    const config = this.#file('daemon.json');
    // The key would be made in /etc/docker; only the file knows this option.
    writeFileSync(config, JSON.stringify({ 'deprecated-key-path': this.#file('key.json') }));
    mkdirSync(this.#file('client'), { recursive: true });
    const options: Readonly<Record<string, string>> = {
      'config-file': config,
      'data-root': this.#file('data'),
      'exec-root': this.#file('exec'),
      pidfile: this.#file('docker.pid'),
      host: `unix://${this.#file('docker.sock')}`,
      containerd: socket,
      'containerd-namespace': namespace,
      'containerd-plugins-namespace': `${namespace}-p`,
      'cgroup-parent': `${cgroupParent}/${namespace}`,
      bridge: 'none',
      iptables: 'false',
      ip6tables: 'false',
      'ip-forward': 'false',
      'live-restore': String(liveRestore),
      debug: 'true',
    };
    const flags = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    const program = new Program('nsenter', [`--net=${this.#file('network')}`, this.#programs.dockerd, ...flags], {
      env: this.#environment,
      cwd: this.directory,
      timeout: 900_000,
    });
    this.#program = program;
    const serves = async (): Promise<string | undefined> => {
      if (!this.running) return 'ended';
      return (await this.docker(['version', '--format', '{{.Server.Version}}'])).code === 0 ? 'serving' : undefined;
    };
    const outcome = await waitFor(serves, { budget: 60_000, every: 100, doing: 'dockerd to serve' }).catch(
      (error: unknown) => {
        throw new Error(`dockerd does not serve:\n${program.stderr}`, { cause: error });
      },
    );
    if (outcome === 'ended') throw new Error(`dockerd ended at its start:\n${program.stderr}`);
  }

  async #importRootfs(): Promise<void> {
    const archive = this.#file('rootfs.tar');
    const made = await runProgram('tar', ['-C', busyboxRootfs, '-cf', archive, '.']);
    if (made.code !== 0) throw new Error(`tar of the root file system: ${made.stderr}`);
    await this.succeed('import', archive, image);
    rmSync(archive);
  }

  /** Runs `docker` to its end; its exit code is the caller's to judge. */
  docker(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return this.startDocker(args, options).finished;
  }

  startDocker(args: readonly string[], options: RunOptions = {}): Program {
    return new Program(this.#programs.docker, args, {
      env: this.#environment,
      cwd: this.directory,
      timeout: 90_000,
      ...options,
    });
  }

  /** Runs `docker` and answers its output without the last newline. Throws where it exits with anything but 0. */
  async succeed(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.docker(args);
    if (code !== 0) throw new Error(`docker ${args.join(' ')} exited with ${code}: ${stdout}${stderr}`);
    return stdout.replace(/\n$/, '');
  }

  /** A command line for a terminal of the test's own. */
  command(...args: string[]): { readonly file: string; readonly args: string[]; readonly env: NodeJS.ProcessEnv } {
    return { file: this.#programs.docker, args, env: this.#environment };
  }

  /** One field of a container, in Go's template language: `inspect('web', '.State.Pid')`. */
  inspect(container: string, field: string): Promise<string> {
    return this.succeed('inspect', '--type', 'container', '--format', `{{${field}}}`, container);
  }

  /** SIGTERM, and its end. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const program = this.#program;
    if (!program) throw new Error('dockerd is not running');
    program.child.kill(signal);
    await program.finished;
  }

  /** Waits until shimd has nothing of a container any more, and answers what it has in the end. */
  async settled(): Promise<Leftovers> {
    const counted = (): Leftovers => {
      const all = this.daemon.leftovers();
      const ours = (line: string) => line.startsWith(`${this.pid} `) || line.includes('containerd-shim-');
      return {
        ...all,
        processes: all.processes.filter((line) => !ours(line)),
        // Shared shims wait for the next task.
        bundles: all.bundles.filter((bundle) => !bundle.includes('/.shims/')),
      };
    };
    const isClean = (): boolean => Object.values(counted()).every((list: readonly string[]) => list.length === 0);
    await waitFor(isClean, { every: 50 }).catch(() => undefined);
    return counted();
  }

  /** Removes every container, as a test may have left it. */
  async removeContainers(): Promise<void> {
    const ids = (await this.succeed('ps', '--all', '--quiet')).split('\n').filter((id) => id !== '');
    if (ids.length > 0) await this.docker(['rm', '--force', '--volumes', ...ids]);
  }

  /** Ends it and removes what it has made, whatever state it is in. Before the daemon that it runs on. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) {
      if (this.daemon.running) await this.removeContainers().catch(() => undefined);
      const ended = this.stop();
      await waitFor(() => !this.running, { budget: 30_000, doing: 'dockerd to stop' }).catch(() => this.kill());
      await ended;
    }
    for (const { pid } of processesNaming(this.directory)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone by itself.
      }
      await waitFor(() => !isAlive(pid)).catch(() => undefined);
    }
    // Its root, the network namespaces, and the file systems of containers that were cut off; the last mounted first.
    for (const point of mountsNaming(this.directory).toReversed()) spawnSync('umount', ['-l', point]);
    if (mountsNaming(this.directory).length === 0) rmSync(this.directory, { recursive: true, force: true });
    if (this.#madePlugins) this.#removePluginDirectories();
  }

  /** Only while empty: another dockerd may have plugins there by now. */
  #removePluginDirectories(): void {
    for (const directory of [pluginDirectory, path.dirname(pluginDirectory)]) {
      try {
        rmdirSync(directory);
      } catch {
        return;
      }
    }
  }
}
