import type { Envelope } from '../events/index.ts';
import { Pool } from '../pool/index.ts';
import { notFound, unavailable } from '../shared/errors/index.ts';
import type { Finding } from '../shared/health.ts';
import type { ExecId, Namespace, ProcessRef, TaskRef } from '../shared/identifiers.ts';
import type { Exit, ProcessInfo, RuntimeInfo, Stdio } from '../shared/messages/index.ts';
import type { Any } from '../shared/wire/any.ts';
import { closeContext, composeContext } from './compose.ts';
import type { Context } from './context.ts';
import { createTask } from './create.ts';
import { deleteProcess } from './delete.ts';
import { destroyTask } from './destroy.ts';
import { addExec } from './exec.ts';
import { takeForwarded } from './forwarded-events.ts';
import { pauseTask, resumeTask } from './freezing.ts';
import { supervisorHealth } from './health.ts';
import { killProcess } from './kill.ts';
import { launchOf } from './launch.ts';
import type {
  CallOptions,
  CreateRequest,
  Launch,
  ProcessView,
  ShimView,
  SlotView,
  SupervisorOptions,
} from './options.ts';
import { recover } from './recovery.ts';
import { takeReport, threadLost, threadReplaced } from './reports.ts';
import { SandboxController } from './sandboxes/controller.ts';
import { type ShimLogRequest, ShimLogs, type ShimLogView } from './shim-logs.ts';
import { startProcess } from './start.ts';
import * as operations from './task-operations.ts';
import type { TaskSlot } from './task-slot.ts';
import { getProcess, listTasks, shimViews, slotViews } from './views.ts';
import { waitForExit } from './wait.ts';
import type { MainVitals } from './watchdog.ts';

/** The slots, whoever runs them. */
export interface SlotPool {
  readonly slots: readonly TaskSlot[];
  close(): Promise<void>;
}

/**
 * The tasks of the host. Every method rejects with a TaskError; its codes and message tails are containerd's. Ids are
 * those of parsed requests.
 */
export class Supervisor {
  readonly sandboxes: SandboxController;
  readonly #context: Context;
  readonly #pool: SlotPool;
  readonly #logs: ShimLogs;
  #closed = false;

  private constructor(context: Context, pool: SlotPool) {
    this.#context = context;
    this.#pool = pool;
    this.#logs = new ShimLogs(context);
    this.sandboxes = new SandboxController(context, (call) => this.#open(call));
  }

  /** Starts the threads and takes over every task that runs; resolves when what answers is adopted. */
  static async open(options: SupervisorOptions): Promise<Supervisor> {
    const { directories, deadlines, logger } = options;
    let slots: readonly TaskSlot[] = [];
    const context = composeContext(options, () => slots);
    const pool = await Pool.open({
      slots: options.workers,
      settings: {
        directories,
        eventsAddress: options.eventsAddress,
        apiAddress: options.apiAddress,
        publishBinary: options.publishBinary,
        shimEnvironment: options.shimEnvironment,
        socketDirectory: options.socketDirectory,
        debug: options.debug,
        deadlines,
        heartbeat: options.heartbeat,
        lostExitAfter: options.lostExitAfter,
        logLevel: options.logLevel,
      },
      logger,
      entry: options.entry,
      early: options.early,
      onReport: (slot, report) => takeReport(context, slot, report),
      onThreadLost: (slot) => threadLost(context, slot),
      onThreadReplaced: (slot) => threadReplaced(context, slot),
    });
    slots = pool.slots;
    const supervisor = new Supervisor(context, pool);
    try {
      await recover(context, {
        chooseSlot: (group) => context.placement.chooseSlot(group),
        // What shims have sent by now can say how a task ended whose shim is gone when it is adopted.
        onFound: () => options.forwarded?.deliverTo((envelope) => supervisor.receive(envelope)),
      });
    } catch (error) {
      await supervisor.close();
      throw error;
    }
    return supervisor;
  }

  create(task: TaskRef, request: CreateRequest, call: CallOptions = {}): Promise<{ pid: number }> {
    return this.#open(() => createTask(this.#context, task, request, call));
  }

  start(process: ProcessRef, call: CallOptions = {}): Promise<{ pid: number }> {
    return this.#open(() => startProcess(this.#context, process, call));
  }

  exec(
    task: TaskRef,
    exec: ExecId,
    request: { readonly stdio: Stdio; readonly spec: Any },
    call: CallOptions = {},
  ): Promise<void> {
    return this.#open(() => addExec(this.#context, task, exec, request, call));
  }

  kill(
    process: ProcessRef,
    request: { readonly signal: number; readonly all: boolean },
    call: CallOptions = {},
  ): Promise<void> {
    return this.#open(() => killProcess(this.#context, process, request, call));
  }

  /** Of an init or an exec that has ended, or never ran. It can be repeated until it has succeeded. */
  delete(process: ProcessRef, call: CallOptions = {}): Promise<Exit> {
    return this.#open(() => deleteProcess(this.#context, process, call));
  }

  /** Ends a task whatever its state. */
  destroy(task: TaskRef, call: CallOptions = {}): Promise<Exit> {
    return this.#open(() => destroyTask(this.#context, task, call));
  }

  get(process: ProcessRef, call: CallOptions = {}): Promise<ProcessView> {
    return this.#open(() => getProcess(this.#context, process, call));
  }

  /** The inits of a namespace, or of all. */
  list(namespace?: Namespace, call: CallOptions = {}): Promise<ProcessView[]> {
    return this.#open(() => listTasks(this.#context, namespace, call));
  }

  wait(process: ProcessRef, call: CallOptions = {}): Promise<Exit> {
    return this.#open(() => waitForExit(this.#context, process, call));
  }

  pids(task: TaskRef, call: CallOptions = {}): Promise<readonly ProcessInfo[]> {
    return this.#open(() => operations.listPids(this.#context, task, call));
  }

  pause(task: TaskRef, call: CallOptions = {}): Promise<void> {
    return this.#open(() => pauseTask(this.#context, task, call));
  }

  resume(task: TaskRef, call: CallOptions = {}): Promise<void> {
    return this.#open(() => resumeTask(this.#context, task, call));
  }

  update(
    task: TaskRef,
    request: { readonly resources: Any; readonly annotations: Readonly<Record<string, string>> },
    call: CallOptions = {},
  ): Promise<void> {
    return this.#open(() => operations.updateTask(this.#context, task, request, call));
  }

  stats(task: TaskRef, call: CallOptions = {}): Promise<Any> {
    return this.#open(() => operations.taskStats(this.#context, task, call));
  }

  checkpoint(
    task: TaskRef,
    request: { readonly path: string; readonly options?: Any | undefined; readonly exit?: boolean },
    call: CallOptions = {},
  ): Promise<void> {
    return this.#open(() => operations.checkpointTask(this.#context, task, request, call));
  }

  resize(
    process: ProcessRef,
    request: { readonly width: number; readonly height: number },
    call: CallOptions = {},
  ): Promise<void> {
    return this.#open(() => operations.resizeTerminal(this.#context, process, request, call));
  }

  closeIo(process: ProcessRef, request: { readonly stdin: boolean }, call: CallOptions = {}): Promise<void> {
    return this.#open(() => operations.closeIo(this.#context, process, request, call));
  }

  /** How a task was made; undefined where its bundle is gone. */
  launchOf(task: TaskRef): Promise<Launch | undefined> {
    return this.#open(() => launchOf(this.#context, task));
  }

  /** True while a create of the task is under way: nobody can see it yet, and its id is taken. */
  isBeingMade(task: TaskRef): boolean {
    return this.#context.registry.isReserved(task);
  }

  /** True while there is a task in the namespace, or one is being made or undone there. */
  hasTasks(namespace: Namespace): boolean {
    return this.#context.registry.hasTasks(namespace);
  }

  /** Publishes what is held back of the task for clients that are not back yet. */
  tellHeld(task: TaskRef): void {
    this.#context.events.tellHeld(task);
  }

  /** Asks a runtime's binary what it is. */
  runtimeInfo(request: { readonly runtime: string; readonly options?: Any | undefined }): Promise<RuntimeInfo> {
    return this.#open(async () => {
      const binary = await this.#context.placement.resolver.resolve(request.runtime);
      return this.#context.placement.infos.get(binary, request.options);
    });
  }

  shims(): ShimView[] {
    return shimViews(this.#context);
  }

  /** The log that a shim keeps, by the id of one of its tasks or its own; ends by itself unless it follows. See `ShimLogs`. */
  async *shimLog(
    namespace: Namespace,
    id: string,
    request: ShimLogRequest,
    call: CallOptions = {},
  ): AsyncGenerator<ShimLogView, void, undefined> {
    if (this.#closed) throw stopping();
    yield* this.#logs.read(namespace, id, request, call);
  }

  /** Ends shared shims without tasks now, not after their grace: for who leaves nothing behind. */
  endIdleShims(): Promise<void> {
    return this.#open(() => this.#context.placement.shared.endIdle());
  }

  slots(): SlotView[] {
    return slotViews(this.#context, this.#pool.slots);
  }

  /** How its parts are; asks nobody. */
  health(): Finding[] {
    return supervisorHealth(this.#context, this.#pool.slots);
  }

  /** Tasks of all namespaces, and exits that are kept for clients who are away. */
  counts(): { readonly tasks: number; readonly owedExits: number } {
    const { registry, events, sandboxEvents } = this.#context;
    return { tasks: registry.taskCount, owedExits: events.held + sandboxEvents.held };
  }

  /** How the main thread is doing. */
  vitals(): MainVitals {
    return this.#context.watchdog.main;
  }

  /** Ends a slot's thread; the next one adopts its shims. Resolves when the thread is gone. */
  restartSlot(id: number): Promise<void> {
    return this.#open(async () => {
      const slot = this.#pool.slots.find((candidate) => candidate.id === id);
      if (slot === undefined) throw notFound(`slot ${id} not found`);
      await slot.restart();
    });
  }

  /** Takes an event that a shim forwarded. Answers at once and never throws. */
  receive(envelope: Envelope): void {
    if (!this.#closed) takeForwarded(this.#context, envelope);
  }

  /** Ends the threads; shims and tasks run on. Calls under way, and waits, are rejected with UNAVAILABLE. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { registry, sandboxes } = this.#context;
    for (const task of registry.tasks()) {
      for (const process of task.processes()) process.waiters.reject(stopping());
    }
    for (const { waiters } of sandboxes) waiters.reject(stopping());
    await closeContext(this.#context, () => this.#pool.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #open<T>(call: () => Promise<T>): Promise<T> {
    if (this.#closed) throw stopping();
    return call();
  }
}

function stopping() {
  return unavailable('the daemon is stopping: try again when it is back');
}
