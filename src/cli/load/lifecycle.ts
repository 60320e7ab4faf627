import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../shared/errors/index.ts';
import { containersDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import type { Namespace } from '../../shared/identifiers.ts';
import { typeUrls, wireAny } from '../../shared/wire/any.ts';
import { millisecondsOf, plainTimestamp } from '../../shared/wire/timestamp.ts';
import type { Daemon } from '../client/daemon.ts';
import { removeContainerAndTask } from '../container/new-container.ts';
import type { Ledger } from './ledger.ts';
import type { TaskPlan } from './task-plan.ts';
import type { SpecMaker } from './task-spec.ts';

/** The parts of a task's life that are timed, each in milliseconds; `launch` is create and start together. */
export const phases = ['create', 'start', 'launch', 'report', 'delete', 'whole'] as const;
export type Phase = (typeof phases)[number];
export type Timings = Readonly<Record<Phase, number>>;

/** What the lifecycles of one load have in common. */
export interface LifecycleContext {
  readonly daemon: Daemon;
  readonly namespace: Namespace;
  readonly runtime: string;
  readonly spec: SpecMaker;
  readonly ledger: Ledger;
  readonly labels: Readonly<Record<string, string>>;
  /** Aborted: every task is removed, and its lifecycle rejects. */
  readonly signal: AbortSignal;
}

export interface LifecycleTask {
  readonly id: string;
  readonly plan: TaskPlan;
  /** Makes and starts it, when there is room for one more that does. */
  readonly launching: <T>(launch: () => Promise<T>) => Promise<T>;
  /** Awaited between start and end: tasks that end by themselves do not end before. */
  readonly hold: () => Promise<void>;
  /** How long it may take from start to end, in milliseconds, before its exit is lost. */
  readonly patience: number;
}

/** Wait did not answer within the task's patience. */
class LostExit extends Error {
  override readonly name = 'LostExit';

  constructor({ id, patience }: LifecycleTask) {
    super(`${id}: no exit within ${patience} ms`);
  }
}

/** A create may start a shim (30 s) before it creates (60 s). */
const createTimeout = 100_000;

/**
 * One task from nothing to nothing: create, start, end, report, delete. Where a call fails, the task is removed by force,
 * the ledger is told, and this throws.
 */
export async function live(task: LifecycleTask, context: LifecycleContext): Promise<Timings> {
  const { daemon, namespace, ledger, signal } = context;
  const { id, plan } = task;
  const request = { containerId: id };
  try {
    const { began, create, start, report } = await task.launching(() => launch(task, context));
    await task.hold();
    if (plan.signal !== undefined) {
      await daemon.call(tasksDefinition.kill, namespace, { containerId: id, signal: plan.signal }, { signal });
    }
    const late = await report;
    if (late instanceof Error) throw late;
    const reported = performance.now();
    const { exitStatus } = await daemon.call(tasksDefinition.delete, namespace, request, { signal });
    ledger.deleted(id, exitStatus);
    await daemon.call(containersDefinition.delete, namespace, { id }, { signal });
    const gone = performance.now();
    return { create, start, launch: create + start, report: late, delete: gone - reported, whole: gone - began };
  } catch (error) {
    if (signal.aborted) ledger.forget(id);
    else if (error instanceof LostExit) ledger.lost(id);
    else ledger.failed(id, error);
    // A call that was given up may have been done all the same; nobody else uses the id.
    await removeContainerAndTask(daemon, namespace, id);
    throw error;
  }
}

interface Launched {
  readonly began: number;
  readonly create: number;
  readonly start: number;
  /** How late the exit was reported, or why it was not. */
  readonly report: Promise<number | Error>;
}

async function launch(task: LifecycleTask, context: LifecycleContext): Promise<Launched> {
  const { daemon, namespace, ledger, signal } = context;
  const request = { containerId: task.id };
  const began = performance.now();
  await createContainer(task, context);
  await daemon.call(tasksDefinition.create, namespace, request, { signal, timeout: createTimeout });
  const created = performance.now();
  const report = exitOf(task, context);
  await daemon.call(tasksDefinition.start, namespace, request, { signal });
  const started = performance.now();
  ledger.started(task.id);
  return { began, create: created - began, start: started - created, report };
}

async function createContainer({ id, plan }: LifecycleTask, context: LifecycleContext): Promise<void> {
  const { daemon, namespace, runtime, labels, signal } = context;
  const value = Buffer.from(JSON.stringify(context.spec(id, plan.script)));
  const spec = wireAny({ typeUrl: typeUrls.spec, value });
  const container = { id, labels: { ...labels }, runtime: { name: runtime }, spec };
  await daemon.call(containersDefinition.create, namespace, { container }, { signal });
}

/**
 * Waits for the exit from now on, tells the ledger, and answers how long the report of it took since the process ended.
 * Answers the error where there is one, so that it can be left alone until somebody asks.
 */
async function exitOf(task: LifecycleTask, context: LifecycleContext): Promise<number | Error> {
  const { daemon, namespace, ledger, signal } = context;
  const request = { containerId: task.id };
  try {
    const exit = await daemon.call(tasksDefinition.wait, namespace, request, { signal, timeout: task.patience });
    const now = performance.timeOrigin + performance.now();
    ledger.waited(task.id, exit.exitStatus);
    const ended = plainTimestamp(exit.exitedAt);
    // Two clocks are compared, and a shim may round its own: less than nothing is nothing.
    return ended === undefined ? 0 : Math.max(0, now - millisecondsOf(ended));
  } catch (error) {
    if (hasCode(error, 'DEADLINE_EXCEEDED')) return new LostExit(task);
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** For plans that are killed: lets them run for a while first. */
export function pauseUnlessAborted(milliseconds: number, signal: AbortSignal): Promise<void> {
  return milliseconds > 0 ? sleep(milliseconds, undefined, { signal }) : Promise.resolve();
}
