import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { containerdConfig } from './containerd-config.mjs';
import { isAlive, mountsNaming, processesNaming } from './leftovers.ts';
import { type Finished, Program, type RunOptions, runProgram } from './program.ts';
import type { Generation } from './runtimes.ts';
import { makeDirectory, noteSocket, uniqueName } from './test-run.ts';
import { waitFor } from './wait-for.ts';

/** containerd's own program beside a generation's ctr; it is not everywhere that ctr is. */
export function containerdOf(generation: Generation): string | undefined {
  const file = path.join(path.dirname(generation.ctr), 'containerd');
  return existsSync(file) ? file : undefined;
}

/** containerd itself, for its side of what shimd's programs promise: private, and with nothing but tasks. */
export class Containerd implements AsyncDisposable {
  readonly directory: string = makeDirectory();
  readonly namespace: string = uniqueName('ns');
  readonly #generation: Generation;
  readonly #program: Program;
  readonly #sockets = new Set<string>();

  private constructor(generation: Generation, program: string) {
    this.#generation = generation;
    const config = path.join(this.directory, 'config.toml');
    writeFileSync(config, containerdConfig(this.directory, this.#socket));
    this.#program = new Program(program, ['--config', config], { env: environment(), timeout: 300_000 });
  }

  /** Starts one and waits until it serves. Throws where the generation has no containerd. */
  static async start(generation: Generation): Promise<Containerd> {
    const program = containerdOf(generation);
    if (program === undefined) throw new Error(`there is no containerd beside ${generation.ctr}`);
    const containerd = new Containerd(generation, program);
    try {
      const serves = async (): Promise<boolean> => (await containerd.ctr(['version'])).code === 0;
      await waitFor(serves, { budget: 20_000, every: 100, doing: 'containerd to serve' });
    } catch (error) {
      const { stderr } = containerd.#program;
      await containerd[Symbol.asyncDispose]();
      throw new Error(`containerd does not serve:\n${stderr}`, { cause: error });
    }
    return containerd;
  }

  get #state(): string {
    return path.join(this.directory, 'state');
  }

  get #socket(): string {
    return path.join(this.directory, 'containerd.sock');
  }

  ctr(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const all = ['--address', this.#socket, '--namespace', this.namespace, ...args];
    return runProgram(this.#generation.ctr, all, { env: environment(), cwd: this.directory, ...options });
  }

  /** Directories of tasks that are there. */
  bundles(): string[] {
    const directory = path.join(this.#state, 'io.containerd.runtime.v2.task', this.namespace);
    return existsSync(directory) ? readdirSync(directory).map((id) => path.join(directory, id)) : [];
  }

  /** Where the shims of the tasks that are there listen. They are looked for at the end, too. */
  shimSockets(): string[] {
    for (const bundle of this.bundles()) {
      const file = path.join(bundle, 'bootstrap.json');
      if (!existsSync(file)) continue;
      const { address } = JSON.parse(readFileSync(file, 'utf8')) as { address: string };
      const socket = address.replace(/^unix:\/\//, '');
      this.#sockets.add(socket);
      noteSocket(socket);
    }
    return [...this.#sockets];
  }

  /** Processes other than containerd's own, mounts, bundles and sockets of shims; empty when nothing is left. */
  leftovers(): string[] {
    return [
      ...this.#processes().map(({ pid, command }) => `${pid} ${command}`),
      ...mountsNaming(this.directory),
      ...this.bundles(),
      ...this.shimSockets().filter((socket) => existsSync(socket)),
    ];
  }

  #processes(): ReturnType<typeof processesNaming> {
    const found = [this.directory, this.namespace].flatMap((mark) => processesNaming(mark));
    return found.filter(({ pid }) => pid !== this.#program.child.pid);
  }

  /** Waits for nothing to be left; answers what there is in the end. */
  async settled(): Promise<string[]> {
    await waitFor(() => this.leftovers().length === 0, { every: 50 }).catch(() => undefined);
    return this.leftovers();
  }

  /** Ends it, and whatever a failed test has left. */
  async [Symbol.asyncDispose](): Promise<void> {
    const sockets = this.shimSockets();
    this.#program.child.kill('SIGTERM');
    await this.#program.finished;
    for (const { pid } of this.#processes()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone by itself.
      }
      await waitFor(() => !isAlive(pid)).catch(() => undefined);
    }
    for (const socket of sockets) rmSync(socket, { force: true });
    if (mountsNaming(this.directory).length === 0) rmSync(this.directory, { recursive: true, force: true });
  }
}

/** What the tests' own runner sets is nobody else's business. */
function environment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...own } = process.env;
  return own;
}
