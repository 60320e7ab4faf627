import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { layFoundation } from '../daemon/foundation.ts';
import { CleanupStack } from '../daemon/lifecycle/cleanup-stack.ts';
import type { EventTail } from '../events/index.ts';
import { hasCode, invalidArgument, TaskError, unavailable } from '../shared/errors/index.ts';
import { type Namespace, type ProcessRef, parseExecId, parseNamespace, parseTaskId } from '../shared/identifiers.ts';
import { createLogger, type Logger, silentLogger } from '../shared/log/logger.ts';
import type { Exit as InnerExit } from '../shared/messages/index.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import { typeUrls } from '../shared/wire/any.ts';
import type { Supervisor as Inner, CallOptions as InnerCall, ProcessView } from '../supervisor/index.ts';
import { type Home, openError, prepareHome } from './home.ts';
import { namespaceEvents } from './namespace-events.ts';
import type {
  CallOptions,
  CreateOptions,
  DeleteOptions,
  EventsOptions,
  ExecOptions,
  KillOptions,
  OpenOptions,
  ProcessOptions,
} from './options.ts';
import { PipeTable } from './pipe-table.ts';
import { ProcessPipes } from './process-pipes.ts';
import { dateOf } from './read-event.ts';
import { execSpecOf, runtimeOf, specOf } from './spec.ts';
import type { CreatedTask, Exit, ProcessInfo, RunningExec } from './task.ts';
import type { TaskEvent } from './task-event.ts';

/** Tasks of a temporary home that are ended at once. */
const endedAtOnce = 16;

interface Parts {
  readonly inner: Inner;
  readonly tail: EventTail;
  readonly cleanup: CleanupStack;
  readonly home: Home;
  readonly namespace: Namespace;
  readonly logger: Logger;
}

/**
 * Runs tasks, in this process's care, through containerd shims: containers, or plain processes of the host. Every method
 * rejects with a TaskError whose `code` says what kind of failure it is.
 */
export class Supervisor {
  readonly #parts: Parts;
  readonly #pipes = new PipeTable();
  /** Creates under way: what comes of them has to be known before the end. */
  readonly #creating = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  /**
   * Resolves when tasks can be created; those that an earlier supervisor left in `directory` are taken over by then.
   * Throws FAILED_PRECONDITION where a directory cannot be used or is in use, INVALID_ARGUMENT for options that are wrong.
   */
  static async open(options: OpenOptions = {}): Promise<Supervisor> {
    const namespace = parseNamespace(options.namespace ?? 'default');
    const logger = loggerOf(options);
    const home = await prepareHome(options);
    const cleanup = new CleanupStack(logger);
    try {
      const { supervisor: inner, tail } = await layFoundation(home.settings, { logger, cleanup });
      return new Supervisor({ inner, tail, cleanup, home, namespace, logger });
    } catch (error) {
      await cleanup.unwind();
      await home.remove();
      throw openError(error);
    }
  }

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Makes a task: it has a pid, its program does not run yet. A create that fails leaves nothing. Throws ALREADY_EXISTS for
   * an id that is taken, INVALID_ARGUMENT, UNKNOWN where the runtime is not installed or refuses the task.
   */
  create(options: CreateOptions, call: CallOptions = {}): Promise<CreatedTask> {
    const creating = this.#create(options, call).finally(() => this.#creating.delete(creating));
    this.#creating.add(creating);
    return creating;
  }

  async #create(options: CreateOptions, call: CallOptions): Promise<CreatedTask> {
    const { inner, home, namespace } = this.#open();
    const ref = this.#ref(options.id);
    const runtime = runtimeOf(options);
    const spec = Buffer.from(JSON.stringify(await specOf(options, namespace)));
    const pipes = await ProcessPipes.open(home.pipes, options);
    const request = { runtime, spec, rootfs: [], stdio: pipes.stdio };
    const { pid } = await this.#withPipes(ref, pipes, () =>
      inner.create(ref, { ...request, options: options.runtimeOptions }, innerCall(call)),
    );
    pipes.passInput(() => inner.closeIo(ref, { stdin: true }));
    return { id: options.id, pid, ...pipes.streams };
  }

  /** Runs the program of a created task. Throws NOT_FOUND, INVALID_ARGUMENT where it was started before. */
  async start(id: string, call: CallOptions = {}): Promise<{ readonly pid: number }> {
    const { pid } = await this.#open().inner.start(this.#ref(id), innerCall(call));
    return { pid };
  }

  /**
   * Runs a further process in a started task. It is one to `wait` for and to `delete` as well, with its id as `exec`; at the
   * latest it goes with its task.
   */
  async exec(id: string, options: ExecOptions, call: CallOptions = {}): Promise<RunningExec> {
    const { inner, home } = this.#open();
    const exec = options.id ?? `exec-${randomBytes(6).toString('hex')}`;
    const task = this.#ref(id);
    const ref = { ...task, exec: parseExecId(exec) };
    const { bundle } = await inner.get(task, innerCall(call));
    const value = Buffer.from(JSON.stringify(await execSpecOf(bundle, options)));
    const pipes = await ProcessPipes.open(home.pipes, options);
    const { pid } = await this.#withPipes(ref, pipes, async () => {
      const spec = { typeUrl: typeUrls.process, value };
      await inner.exec(task, ref.exec, { stdio: pipes.stdio, spec }, innerCall(call));
      pipes.passInput(() => inner.closeIo(ref, { stdin: true }));
      try {
        return await inner.start(ref, innerCall(call));
      } catch (error) {
        // The failure is the start's; its id becomes free, or goes with the task.
        await inner.delete(ref).catch(() => undefined);
        throw error;
      }
    });
    return { id: exec, pid, ...pipes.streams };
  }

  /** Resolves when the process has ended, at once where it has already. Without a limit unless `options` give one. */
  async wait(id: string, options: ProcessOptions = {}): Promise<Exit> {
    const { inner } = this.#open();
    try {
      return exitOf(await inner.wait(this.#ref(id, options.exec), innerCall(options)));
    } catch (error) {
      throw this.#closing !== undefined && hasCode(error, 'UNAVAILABLE') ? closedError() : error;
    }
  }

  /**
   * Sends a signal, by name or number. Default SIGTERM. Resolves when it is sent. Throws NOT_FOUND where the process has
   * ended.
   */
  async kill(id: string, signal: NodeJS.Signals | number = 'SIGTERM', options: KillOptions = {}): Promise<void> {
    const number = typeof signal === 'number' ? signal : constants.signals[signal];
    if (number === undefined) throw invalidArgument(`there is no signal ${JSON.stringify(signal)}: invalid argument`);
    const { exec, all = false } = options;
    await this.#open().inner.kill(this.#ref(id, exec), { signal: number, all }, innerCall(options));
  }

  /**
   * Removes an ended process, for a task all of it, and frees its id. Throws FAILED_PRECONDITION while it runs, unless `force` is set.
   * It can be repeated until it has succeeded. Closes outputs that nobody has begun to read.
   */
  async delete(id: string, options: DeleteOptions = {}): Promise<Exit> {
    const { inner } = this.#open();
    const { exec, force = false } = options;
    if (force && exec !== undefined) {
      throw invalidArgument('force is for tasks: kill the exec, then delete it: invalid argument');
    }
    const ref = this.#ref(id, exec);
    const call = innerCall(options);
    const exit = force
      ? await inner.destroy(ref, call)
      : await inner.delete(ref, call).catch((error: unknown) => stillRunning(inner, ref, error));
    this.#pipes.deleted(id, exec);
    return exitOf(exit);
  }

  /** Every task. One whose shim does not answer is listed with its last known state. */
  async list(call: CallOptions = {}): Promise<ProcessInfo[]> {
    const { inner, namespace } = this.#open();
    return (await inner.list(namespace, innerCall(call))).map(infoOf);
  }

  /** One process. Throws NOT_FOUND. */
  async get(id: string, options: ProcessOptions = {}): Promise<ProcessInfo> {
    return infoOf(await this.#open().inner.get(this.#ref(id, options.exec), innerCall(options)));
  }

  /** The cursor of the latest event: what happens from here on comes after it. */
  get cursor(): number {
    return this.#parts.tail.cursor;
  }

  /**
   * What happens to tasks, in order, each event once. It ends with `break`, with its signal, or, when the supervisor is closed,
   * with UNAVAILABLE. The latest 57,000 events or so (14 MiB of them) are kept, in a `directory` from run to run: a cursor
   * before them throws OUT_OF_RANGE, and so does a reader that falls that far behind.
   */
  events(options: EventsOptions = {}): AsyncIterableIterator<TaskEvent> {
    const { tail, namespace } = this.#open();
    return namespaceEvents(tail, namespace, options.since, options.signal);
  }

  /**
   * Lets go of everything. In a `directory`, tasks run on; in a temporary one they are ended first. Calls under way and
   * waits reject with UNAVAILABLE. Can be called again.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { inner, cleanup, home, tail, logger } = this.#parts;
    await Promise.allSettled(this.#creating);
    if (home.temporary) await this.#endTasks();
    // Those that have a task stay with it; for the others nobody would come back.
    await inner.endIdleShims();
    tail.close(unavailable('the supervisor is closed: events end here'));
    const clean = await cleanup.unwind();
    await this.#pipes.close();
    await home.remove();
    if (!clean) logger.warn('supervisor not closed in order');
  }

  /** Nobody will look after them again. */
  async #endTasks(): Promise<void> {
    const { inner, logger } = this.#parts;
    const tasks = await inner.list();
    const end = async () => {
      for (let view = tasks.pop(); view !== undefined; view = tasks.pop()) {
        const { namespace, task } = view;
        try {
          await inner.destroy({ namespace, task });
        } catch (error) {
          if (!hasCode(error, 'NOT_FOUND')) logger.error('task not ended', { namespace, task, error });
        }
      }
    };
    await Promise.all(Array.from({ length: endedAtOnce }, end));
  }

  #open(): Parts {
    if (this.#closing !== undefined) throw closedError();
    return this.#parts;
  }

  #ref(id: string, exec?: string): ProcessRef {
    const ref = { namespace: this.#parts.namespace, task: parseTaskId(id) };
    return exec === undefined ? ref : { ...ref, exec: parseExecId(exec) };
  }

  /** Does what begins a process; its pipes live on with it, or are closed where it fails. */
  async #withPipes<T>(ref: ProcessRef, pipes: ProcessPipes, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      this.#pipes.add(ref.task, ref.exec, pipes);
      return result;
    } catch (error) {
      await pipes.close();
      throw error;
    }
  }
}

/** containerd's clients are told UNKNOWN here, which a program cannot do much with. */
async function stillRunning(inner: Inner, ref: ProcessRef, error: unknown): Promise<never> {
  if (!hasCode(error, 'UNKNOWN')) throw error;
  const view = await inner.get(ref).catch(() => undefined);
  if (view === undefined || view.status === 'stopped') throw error;
  const message = error.message.replace(/: unknown$/, ': failed precondition');
  throw new TaskError('FAILED_PRECONDITION', message, { cause: error });
}

function closedError() {
  return unavailable('the supervisor is closed: open one again');
}

function loggerOf({ log, logLevel = 'info' }: OpenOptions): Logger {
  if (log === undefined) return silentLogger;
  return createLogger((level, event, fields) => log({ level, event, fields }), logLevel);
}

function innerCall({ timeout, signal }: CallOptions): InnerCall {
  return { deadline: timeout === undefined ? undefined : deadlineIn(timeout), signal };
}

function exitOf({ pid, status, exitedAt }: InnerExit): Exit {
  return { pid, status, exitedAt: dateOf(exitedAt) };
}

function infoOf({ task, exec, status, pid, exit, runtime, bundle }: ProcessView): ProcessInfo {
  return {
    id: task,
    ...(exec === undefined ? {} : { exec }),
    status,
    pid,
    ...(exit === undefined ? {} : { exit: exitOf(exit) }),
    runtime,
    bundle,
  };
}
