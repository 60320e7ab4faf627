import { hasCode } from '../shared/errors/index.ts';
import type { ProcessRef, TaskRef } from '../shared/identifiers.ts';
import type { ProcessInfo } from '../shared/messages/index.ts';
import type { Any } from '../shared/wire/any.ts';
import { ask, deadlineOf, shimOf } from './ask.ts';
import type { Context } from './context.ts';
import type { CallOptions } from './options.ts';
import { checkResources, checkTerminalSize } from './request-checks.ts';

// Calls that change nothing in the registry: they go to the shim as they are.

export async function listPids(context: Context, ref: TaskRef, call: CallOptions): Promise<readonly ProcessInfo[]> {
  const shim = shimOf(context.registry.task(ref));
  const reply = await ask(
    shim,
    { kind: 'pids', deadline: deadlineOf(context.deadlines.call, call), ...ref },
    call.signal,
  );
  return reply.processes;
}

export async function updateTask(
  context: Context,
  ref: TaskRef,
  request: { readonly resources: Any; readonly annotations: Readonly<Record<string, string>> },
  call: CallOptions,
): Promise<void> {
  checkResources(request.resources);
  const { resources, annotations } = request;
  const deadline = deadlineOf(context.deadlines.call, call);
  await ask(
    shimOf(context.registry.task(ref)),
    { kind: 'update', deadline, ...ref, resources, annotations },
    call.signal,
  );
}

export async function taskStats(context: Context, ref: TaskRef, call: CallOptions): Promise<Any> {
  const shim = shimOf(context.registry.task(ref));
  const reply = await ask(
    shim,
    { kind: 'stats', deadline: deadlineOf(context.deadlines.metrics, call), ...ref },
    call.signal,
  );
  return reply.stats;
}

/** All of a task's memory is written to a disk: that takes more than other calls. */
const checkpointFactor = 10;

export async function checkpointTask(
  context: Context,
  ref: TaskRef,
  request: { readonly path: string; readonly options?: Any | undefined; readonly exit?: boolean },
  call: CallOptions,
): Promise<void> {
  const { path, options, exit = false } = request;
  const deadline = deadlineOf(context.deadlines.call * checkpointFactor, call);
  const task = context.registry.task(ref);
  const { init } = task;
  const { killed } = init;
  // criu ends it with SIGKILL.
  init.killed ||= exit;
  try {
    const operation = {
      kind: 'checkpoint',
      deadline,
      ...ref,
      path,
      ...(options === undefined ? {} : { options }),
    } as const;
    await ask(shimOf(task), operation, call.signal);
  } catch (error) {
    if (!hasCode(error, 'DEADLINE_EXCEEDED', 'CANCELLED')) init.killed = killed;
    throw error;
  }
  context.events.checkpointed(ref, path);
}

export async function resizeTerminal(
  context: Context,
  ref: ProcessRef,
  { width, height }: { readonly width: number; readonly height: number },
  call: CallOptions,
): Promise<void> {
  checkTerminalSize({ width, height });
  const { task } = context.registry.process(ref);
  await ask(
    shimOf(task),
    { kind: 'resize', deadline: deadlineOf(context.deadlines.call, call), ...ref, width, height },
    call.signal,
  );
}

export async function closeIo(
  context: Context,
  ref: ProcessRef,
  { stdin }: { readonly stdin: boolean },
  call: CallOptions,
): Promise<void> {
  const { task } = context.registry.process(ref);
  await ask(
    shimOf(task),
    { kind: 'close-io', deadline: deadlineOf(context.deadlines.call, call), ...ref, stdin },
    call.signal,
  );
}
