import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { alreadyExists, failedPrecondition, invalidArgument, notFound, TaskError } from '../shared/errors/index.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { containerd } from '../shared/proto/gen/sandbox.js';
import type { CallContext } from '../shared/ttrpc/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import { wireAny } from '../shared/wire/any.ts';
import { timestampNow, timestampOf } from '../shared/wire/timestamp.ts';
import { ExitLatch, now } from './exit-latch.ts';
import type { Memberships } from './memberships.ts';
import { signals } from './signals.ts';
import { parseSpec } from './spec.ts';
import { Task, type TaskListener } from './task.ts';
import { exitedAt } from './task-events.ts';

type Api = typeof containerd.runtime.sandbox.v1;
type Request<Name extends keyof Api> = InstanceType<Api[Name]>;

/** How long the processes of a sandbox may take to go after a SIGKILL, in milliseconds. */
const killBudget = 5_000;

const noStdio = { stdin: '', stdout: '', stderr: '', terminal: false };
const nothing = () => undefined;

/** A sandbox's process is no task: nobody is told of it but who asks. */
const untold: TaskListener = {
  created: nothing,
  started: nothing,
  execAdded: nothing,
  execStarted: nothing,
  exited: nothing,
  deleted: nothing,
  paused: nothing,
  resumed: nothing,
};

interface Sandbox {
  readonly id: string;
  readonly createdAt: { readonly seconds: number; readonly nanos: number };
  /** The process that the sandbox ends with; a sandbox whose spec names none ends when it is stopped. */
  readonly init: Task | undefined;
  readonly ended: ExitLatch;
  started: boolean;
}

/** The sandbox API: one sandbox a shim. Like the tasks beside it, its process runs on the host. */
export class SandboxService {
  readonly #options: { readonly memberships: Memberships; readonly logger: Logger };
  #sandbox: Sandbox | undefined;
  #creating = false;

  constructor(options: { readonly memberships: Memberships; readonly logger: Logger }) {
    this.#options = options;
  }

  /** True from CreateSandbox to ShutdownSandbox: the shim stays for it. */
  get isNeeded(): boolean {
    return this.#sandbox !== undefined || this.#creating;
  }

  async create({ sandboxId, bundlePath, rootfs }: Request<'CreateSandboxRequest'>) {
    if (sandboxId === '') throw invalidArgument('create: the sandbox needs an id: invalid argument');
    if (this.isNeeded) throw alreadyExists(`sandbox ${sandboxId}: the shim has one: already exists`);
    if (rootfs.length > 0)
      throw invalidArgument(`sandbox ${sandboxId}: this runtime mounts no rootfs: invalid argument`);
    this.#creating = true;
    try {
      const init = await this.#createInit(sandboxId, bundlePath);
      const sandbox = { id: sandboxId, createdAt: timestampNow(), init, ended: new ExitLatch(), started: false };
      init?.init.wait().then((exit) => sandbox.ended.set(exit), nothing);
      this.#sandbox = sandbox;
    } finally {
      this.#creating = false;
    }
    return {};
  }

  async start({ sandboxId }: Request<'StartSandboxRequest'>) {
    const sandbox = this.#get(sandboxId);
    if (sandbox.started) throw failedPrecondition(`sandbox ${sandboxId} was started before: failed precondition`);
    sandbox.started = true;
    await sandbox.init?.start('');
    return { pid: sandbox.init?.init.pid ?? 0, createdAt: sandbox.createdAt };
  }

  platform({ sandboxId }: Request<'PlatformRequest'>) {
    this.#get(sandboxId);
    const architectures: Partial<Record<string, string>> = { x64: 'amd64', ia32: '386' };
    return { platform: { os: process.platform, architecture: architectures[process.arch] ?? process.arch } };
  }

  async stop({ sandboxId, timeoutSecs }: Request<'StopSandboxRequest'>) {
    const { init, ended } = this.#get(sandboxId);
    if (init === undefined) ended.set({ status: 0, at: now() });
    else if (ended.exit === undefined) {
      await this.#kill(init, signals.SIGTERM);
      const gone = await this.#endsIn(ended, timeoutSecs * 1000);
      if (!gone) await this.#kill(init, signals.SIGKILL);
      if (!gone && !(await this.#endsIn(ended, killBudget))) {
        throw new TaskError('UNKNOWN', `stop sandbox ${sandboxId}: its processes outlive SIGKILL`);
      }
    }
    return {};
  }

  async wait({ sandboxId }: Request<'WaitSandboxRequest'>, context: CallContext) {
    const exit = await this.#get(sandboxId).ended.wait(context.signal);
    return { exitStatus: exit.status, exitedAt: exitedAt(exit) };
  }

  status({ sandboxId, verbose }: Request<'SandboxStatusRequest'>) {
    const { id, init, ended, started, createdAt } = this.#get(sandboxId);
    const runs = started && ended.exit === undefined;
    return {
      sandboxId: id,
      pid: init?.init.pid ?? 0,
      state: runs ? 'SANDBOX_READY' : 'SANDBOX_NOTREADY',
      info: verbose ? { shimPid: String(process.pid) } : {},
      createdAt,
      exitedAt: exitedAt(ended.exit),
    };
  }

  ping({ sandboxId }: Request<'PingRequest'>) {
    this.#get(sandboxId);
    return {};
  }

  async metrics({ sandboxId }: Request<'SandboxMetricsRequest'>) {
    const { init } = this.#get(sandboxId);
    const { statsOf } = await import('./stats.ts');
    const data = wireAny(statsOf(init === undefined ? [process.pid] : await init.pids()));
    return { metrics: { id: sandboxId, timestamp: timestampOf(Date.now()), data } };
  }

  /** Ends the sandbox; the shim is ended by the Shutdown that follows, once it has no task. */
  async shutdown({ sandboxId }: Request<'ShutdownSandboxRequest'>) {
    const sandbox = this.#get(sandboxId);
    const { init, ended } = sandbox;
    if (init !== undefined) {
      if (ended.exit === undefined) await this.#kill(init, signals.SIGKILL);
      await this.#endsIn(ended, killBudget);
      await init.delete();
      init.forgetRecord();
    }
    ended.set({ status: 0, at: now() });
    if (this.#sandbox === sandbox) this.#sandbox = undefined;
    return {};
  }

  async #createInit(id: string, bundle: string): Promise<Task | undefined> {
    const text = await readConfig(bundle);
    if (!namesProcess(text)) return undefined;
    const { process: spec, ignoreIsolation } = parseSpec(text);
    const { memberships, logger } = this.#options;
    const membership = memberships.create(bundle);
    const init = new Task({ id, bundle, stdio: noStdio, spec, ignoreIsolation, membership, events: untold, logger });
    await init.create(nothing);
    return init;
  }

  /** That it has ended meanwhile is what is wanted. */
  async #kill(init: Task, signal: number): Promise<void> {
    await init.kill('', signal, true).catch((error: unknown) => {
      this.#options.logger.debug('sandbox not signalled', { signal, error: String(error) });
    });
  }

  async #endsIn(ended: ExitLatch, milliseconds: number): Promise<boolean> {
    try {
      await until(ended.wait(), { deadline: deadlineIn(milliseconds), doing: 'waiting for the end of the sandbox' });
      return true;
    } catch {
      return false;
    }
  }

  #get(id: string): Sandbox {
    if (this.#sandbox?.id === id) return this.#sandbox;
    throw notFound(`sandbox ${id}: not found`);
  }
}

async function readConfig(bundle: string): Promise<string> {
  if (!path.isAbsolute(bundle))
    throw invalidArgument(`the sandbox's bundle ${bundle} is not absolute: invalid argument`);
  try {
    return await readFile(path.join(bundle, 'config.json'), 'utf8');
  } catch (error) {
    throw TaskError.from(error, 'read the spec');
  }
}

function namesProcess(text: string): boolean {
  try {
    const spec: unknown = JSON.parse(text);
    return typeof spec === 'object' && spec !== null && 'process' in spec && spec.process !== null;
  } catch {
    // The spec's parser says what is wrong with it.
    return true;
  }
}
