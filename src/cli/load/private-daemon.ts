import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../shared/util/deadline.ts';
import { deferred } from '../../shared/util/deferred.ts';
import { mainProgram } from '../main-program.ts';
import { endProcessesOf } from './stray-processes.ts';

const startBudget = 30_000;
const stopBudget = 20_000;
/** A socket's path has to be shorter than 108 bytes, and the longest below the directory adds some 70. */
const longestDirectory = 32;

/** What the daemon is told besides its directories: shims that have nothing to do end soon. */
const configuration = '[placement]\nidle_grace = "1s"\n';

/**
 * A daemon in a temporary directory that belongs to the one who started it: nothing of it is left after `stop`, neither
 * process nor file, whatever state it is in.
 */
export class PrivateDaemon implements AsyncDisposable {
  readonly directory: string;
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #ended = deferred<void>();
  #stopped: Promise<void> | undefined;

  private constructor(directory: string) {
    this.directory = directory;
    this.address = path.join(directory, 'state/shimd.sock');
    const log = openSync(path.join(directory, 'log'), 'a', 0o600);
    try {
      this.#child = spawn(process.execPath, [mainProgram, ...this.#arguments()], {
        cwd: directory,
        // A session of its own: an interrupt from the keyboard is ours to handle, and the daemon's work to be undone first.
        detached: true,
        stdio: ['ignore', 'pipe', log],
        // Where shims put their sockets when the state directory's path is too long for one.
        env: { ...process.env, XDG_RUNTIME_DIR: directory },
      });
    } finally {
      closeSync(log);
    }
    this.#child.once('exit', () => this.#ended.resolve());
    this.#child.once('error', () => this.#ended.resolve());
  }

  /** Resolves when it serves. Throws with the last of its log where it does not, and nothing of it is left then. */
  static async start(signal: AbortSignal): Promise<PrivateDaemon> {
    const parent = tmpdir();
    const directory = await mkdtemp(path.join(parent.length > longestDirectory ? '/tmp' : parent, 'shimd-private-'));
    await writeFile(path.join(directory, 'config.toml'), configuration);
    const daemon = new PrivateDaemon(directory);
    try {
      const limit = { deadline: Date.now() + startBudget, doing: 'starting a private daemon', signal };
      await until(daemon.#ready(), limit);
      return daemon;
    } catch (error) {
      const log = await readFile(path.join(directory, 'log'), 'utf8').catch(() => '');
      await daemon.stop();
      if (signal.aborted) throw error;
      const said = log.trim().split('\n').slice(-3).join(' ');
      const reason = said === '' ? String(error) : said;
      throw new Error(`cannot start a private daemon: ${reason}`, { cause: error });
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Ends the daemon, its shims and all that they still run, and removes its directory. Idempotent, never rejects. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#child.stdout?.destroy();
    this.#child.kill('SIGTERM');
    await Promise.race([this.#ended.promise, sleep(stopBudget, undefined, { ref: false })]);
    this.#child.kill('SIGKILL');
    await endProcessesOf(this.directory);
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }).catch(() => undefined);
  }

  #arguments(): string[] {
    const inside = (name: string) => path.join(this.directory, name);
    const options = {
      root: inside('root'),
      state: inside('state'),
      config: inside('config.toml'),
      'log-level': 'warn',
    };
    return ['serve', ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])];
  }

  async #ready(): Promise<void> {
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('the daemon has no output');
    let said = '';
    stdout.setEncoding('utf8');
    for await (const chunk of stdout) {
      said += String(chunk);
      if (/^shimd ready: /m.test(said)) break;
    }
    if (!/^shimd ready: /m.test(said)) throw new Error('the daemon ended while it started');
  }
}
