import { readdir, readFile, readlink, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { decodeError } from '../../../src/shared/errors/index.ts';
import type { Directories } from '../../../src/shared/layout.ts';
import type {
  Operation,
  OperationKind,
  OperationOf,
  Order,
  Outcome,
  ReplyOf,
  Report,
  WorkerSettings,
} from '../../../src/shared/messages/index.ts';
import { TtrpcServer } from '../../../src/shared/ttrpc/index.ts';
import { repository, runc } from '../../helpers/runtimes.ts';
import { makeDirectory } from '../../helpers/test-run.ts';

/** Where the build is: another one than `dist` for those who work on several things at once. */
const build = path.resolve(repository, process.env['SHIMD_BUILD'] ?? 'dist');

type Timeless<O> = O extends Operation ? Omit<O, 'deadline'> & { readonly deadline?: number } : never;

/** One worker thread running the built entry, as the pool runs it, with what it reports. */
export class TestSlot {
  readonly settings: WorkerSettings;
  readonly reports: Report[] = [];
  readonly #pool: Piscina;
  #port: MessagePort | undefined;
  readonly #watchers = new Set<() => void>();

  private constructor(settings: WorkerSettings, pool: Piscina) {
    this.settings = settings;
    this.#pool = pool;
  }

  #listen(port: MessagePort): void {
    this.#port = port;
    port.on('message', (report: Report) => {
      this.reports.push(report);
      if (process.env.SHIMD_TEST_LOG && report.kind === 'log') console.error(report.message, report.fields);
      for (const watcher of this.#watchers) watcher();
    });
  }

  static async open(settings: WorkerSettings): Promise<TestSlot> {
    const slot = await TestSlot.openDetached(settings);
    const { port1, port2 } = new MessageChannel();
    slot.#listen(port1);
    const attach = { kind: 'attach', port: port2, settings, deadline: Date.now() + 5000 } as const;
    await slot.#pool.run(attach, { transferList: [port2] });
    return slot;
  }

  /** A thread that nobody has attached. */
  static async openDetached(settings: WorkerSettings): Promise<TestSlot> {
    const pool = new Piscina({
      filename: pathToFileURL(path.join(build, 'workers/entry.js')).href,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: 1000,
      idleTimeout: Number.POSITIVE_INFINITY,
      atomics: 'disabled',
    });
    pool.on('error', () => undefined);
    return new TestSlot(settings, pool);
  }

  async run<K extends OperationKind>(operation: Timeless<OperationOf<K>> & { readonly kind: K }): Promise<ReplyOf<K>> {
    const outcome: Outcome<K> = await this.#pool.run({ deadline: Date.now() + 20_000, ...operation });
    if (!outcome.ok) throw decodeError(outcome.error);
    return outcome.reply;
  }

  /** The first report that `matches`, now or later. */
  async report<K extends Report['kind']>(
    kind: K,
    matches: (report: Extract<Report, { kind: K }>) => boolean = () => true,
  ): Promise<Extract<Report, { kind: K }>> {
    const find = () =>
      this.reports.find(
        (report): report is Extract<Report, { kind: K }> => report.kind === kind && matches(report as never),
      );
    const found = find();
    if (found !== undefined) return found;
    return new Promise((resolve) => {
      const watcher = () => {
        const report = find();
        if (report === undefined) return;
        this.#watchers.delete(watcher);
        resolve(report);
      };
      this.#watchers.add(watcher);
    });
  }

  /** Ends the thread as a crash would: nothing in it gets to say anything more. */
  async terminate(): Promise<void> {
    const [thread] = this.#pool.threads;
    if (this.#port !== undefined && thread !== undefined) {
      // From outside in the middle of loading a native addon it would take this process with it.
      const gone = new Promise((resolve) => thread.once('exit', resolve));
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a MessagePort has one other end, not an origin
      this.#port.postMessage({ kind: 'stop' } satisfies Order);
      await gone;
      this.#port.close();
    }
    await this.#pool.destroy();
  }
}

/** Directories of a daemon of the test's own, with an events endpoint that takes everything. */
export class TestHost {
  readonly directory: string;
  readonly directories: Directories;
  readonly #events: TtrpcServer;

  private constructor(directory: string, events: TtrpcServer) {
    this.directory = directory;
    // By another name than the kernel's: nothing may depend on which one is used.
    this.directories = { root: path.join(directory, 'via/root'), state: path.join(directory, 'via/state') };
    this.#events = events;
  }

  static async open(): Promise<TestHost> {
    const directory = makeDirectory();
    await symlink('.', path.join(directory, 'via'));
    const events = new TtrpcServer({ services: {} });
    await events.listen(path.join(directory, 'events.sock'));
    return new TestHost(directory, events);
  }

  settings(
    options: {
      readonly deadlines?: Partial<WorkerSettings['deadlines']>;
      readonly heartbeat?: number;
      readonly lostExitAfter?: number;
    } = {},
  ): WorkerSettings {
    return {
      slot: 0,
      directories: this.directories,
      eventsAddress: path.join(this.directory, 'events.sock'),
      apiAddress: path.join(this.directory, 'api.sock'),
      publishBinary: '/bin/true',
      shimEnvironment: { PATH: `${path.dirname(runc)}:${process.env['PATH'] ?? ''}` },
      debug: false,
      heartbeat: options.heartbeat ?? 10_000,
      lostExitAfter: options.lostExitAfter ?? 30_000,
      deadlines: {
        load: 5000,
        cleanup: 5000,
        shutdown: 3000,
        state: 2000,
        metrics: 2000,
        start: 10_000,
        call: 20_000,
        ...options.deadlines,
      },
      logLevel: 'debug',
    };
  }

  /** Paths of everything in the state and root directories that is there because of a task or a shim. */
  async leftovers(): Promise<string[]> {
    const left: string[] = [];
    for (const top of [this.directories.state, this.directories.root]) {
      for (const entry of await readdir(top, { recursive: true }).catch(() => [])) {
        const parts = entry.split('/');
        // Directories of a namespace stay, and so does runc's own state directory while it is empty.
        if (parts.length > 1 && entry !== 'test/.shims' && entry !== '.runc/test') left.push(path.join(top, entry));
      }
    }
    return left;
  }

  /** Processes that work in, or were told of, this host's directories. */
  async processes(): Promise<string[]> {
    const found: string[] = [];
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (line.includes(this.directory)) found.push(`${pid} ${line.replaceAll('\0', ' ')}`);
    }
    return found;
  }

  /** Processes that work in a bundle of this host: shims, and what fixtures run for tasks. */
  async workingProcesses(): Promise<string[]> {
    const found: string[] = [];
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
      if (cwd.startsWith(this.directory))
        found.push(`${pid} ${await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')}`);
    }
    return found;
  }

  async mounts(): Promise<string[]> {
    const table = await readFile('/proc/self/mountinfo', 'utf8');
    return table.split('\n').filter((line) => line.includes(this.directory));
  }

  /** Also ends what a failed test left running, by pid. */
  async close(): Promise<void> {
    for (const line of [...(await this.processes()), ...(await this.workingProcesses())]) {
      try {
        process.kill(Number.parseInt(line, 10), 'SIGKILL');
      } catch {
        // Gone already.
      }
    }
    await this.#events.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}
