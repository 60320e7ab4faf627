import { spawn } from 'node:child_process';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { containerdConfig } from '../../helpers/containerd-config.mjs';
import { Client } from './client.mjs';
import { endProcesses, leftBelow, removeSockets } from './leftovers.mjs';
import { cpuOf, pssOf, shimsBelow } from './processes.mjs';

function containerdCommand({ program, directory, socket }) {
  const config = path.join(directory, 'config.toml');
  writeFileSync(config, containerdConfig(directory, socket));
  return [program, ['--config', config, '--log-level', 'error']];
}

function shimdCommand({ build, directory, socket, placement, settings = '', nodeArguments = [] }) {
  const config = path.join(directory, 'config.toml');
  writeFileSync(config, `[placement]\nmode = "${placement}"\n${settings}\n`);
  const places = ['--root', `${directory}/root`, '--state', `${directory}/state`, '--address', socket];
  const args = ['serve', ...places, '--config', config, '--log-level', 'warn'];
  return [process.execPath, [...nodeArguments, path.join(build, 'src/main.js'), ...args]];
}

/** One daemon that is measured: private, killed and started again at will. */
export class Daemon {
  #child;
  #command;
  #environment;
  #run;

  /**
   * `kind` is 'containerd' or a placement of shimd's, `run` what it is a part of. `directory` is the daemon's own; it is made,
   * and not removed. `environment` has runc on its PATH.
   */
  constructor(options) {
    const { kind, directory, namespace, api, environment, run } = options;
    mkdirSync(directory, { recursive: true });
    this.kind = kind;
    this.directory = directory;
    this.socket = path.join(directory, 'd.sock');
    this.#environment = environment;
    this.#run = run;
    const common = { ...options, socket: this.socket, placement: kind };
    this.#command = kind === 'containerd' ? containerdCommand(common) : shimdCommand(common);
    this.client = new Client(this.socket, namespace, api);
  }

  get pid() {
    return this.#child.pid;
  }

  /** Starts it; resolves to the milliseconds until the tasks could be listed. */
  async start() {
    this.#run.check();
    const log = openSync(path.join(this.directory, 'log'), 'a');
    const began = performance.now();
    const [program, args] = this.#command;
    const child = spawn(program, args, { env: this.#environment, stdio: ['ignore', log, log] });
    this.#child = child;
    if (child.pid !== undefined) this.#run.take(child.pid);
    child.gone = new Promise((resolve) => child.once('exit', resolve));
    const { tasksDefinition } = this.client.api;
    await Promise.race([
      this.client.untilAnswered(tasksDefinition.list, { filter: '' }),
      child.gone.then(() => {
        throw new Error(`${this.kind} ended: see ${this.directory}/log`);
      }),
    ]);
    return performance.now() - began;
  }

  async end(signal = 'SIGKILL') {
    this.#child?.kill(signal);
    await this.#child?.gone;
  }

  shims() {
    return shimsBelow(this.directory);
  }

  /** MB of the daemon alone, and with its shims. */
  memory() {
    const shims = this.shims();
    const daemon = pssOf(this.pid);
    return { daemon, shims: shims.length, all: shims.reduce((sum, pid) => sum + pssOf(pid), daemon) };
  }

  /** Milliseconds of processor time so far of the daemon alone, without the programs that it runs. */
  cpu() {
    return cpuOf(this.pid)?.own ?? 0;
  }

  /** Ends it, and the shims that outlive it; their tasks were deleted before. */
  async close() {
    this.client.close();
    await this.end('SIGTERM');
    const forgetSockets = removeSockets(this.directory);
    // Tasks are there only where a measurement failed.
    await endProcesses(() => leftBelow(this.directory));
    forgetSockets();
  }
}
