import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, TaskError, unavailable } from '../shared/errors/index.ts';
import { parseShimId, type TaskRef } from '../shared/identifiers.ts';
import { taskBundle } from '../shared/layout.ts';
import type { CreateTaskReply } from '../shared/messages/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import { answerGrace, assertAwaited, deadlineOf } from './ask.ts';
import type { Context } from './context.ts';
import { isLostToReboot } from './lost-to-reboot.ts';
import type { CallOptions, CreateRequest } from './options.ts';
import type { Placed } from './placement.ts';
import type { Reservation } from './registry.ts';
import { removeByForce } from './remove-by-force.ts';
import { checkStdio } from './request-checks.ts';
import { Shim } from './shim.ts';
import { specFacts } from './spec-facts.ts';
import { Task } from './task.ts';
import { TaskProcess } from './task-process.ts';

/** How long a create that went wrong is undone, once a shim that hangs in it is given up, before its id is freed anyway, in milliseconds. */
const undoBudget = 30_000;
/** How long its caller waits for that: the same id should work again when the error arrives. */
const undoPatience = 5_000;

/**
 * Creates a task: all or nothing. A caller who gives up has it undone; the id is free when that is done, and who wants
 * it meanwhile waits for it.
 */
export async function createTask(
  context: Context,
  ref: TaskRef,
  request: CreateRequest,
  call: CallOptions,
): Promise<{ pid: number }> {
  checkStdio(request.stdio);
  specFacts(request.spec);
  const deadline = deadlineOf(context.deadlines.call, call);
  await earlierUndone(context, ref, { deadline, signal: call.signal });
  context.registry.assertNotHeld(ref);
  const lost = context.registry.findTask(ref);
  if (lost !== undefined && isLostToReboot(lost)) {
    lost.isLeaving = true;
    const removal = lost.removal ?? Promise.resolve();
    await until(removal, { deadline, signal: call.signal, doing: `removing what is left of task ${ref.task}` });
    context.registry.remove(lost);
  }
  const reservation = context.registry.reserve(ref);
  let placed: Placed;
  try {
    // What an earlier task of this id left is not this one's.
    context.events.forget(ref);
    context.exits.removeTask(ref);
    const placing = context.placement.place(ref, request, { deadline, signal: call.signal });
    // A place that comes too late is given back.
    placed = await until(placing, { deadline, signal: call.signal, doing: `creating task ${ref.task}` }).catch(
      (error: unknown) => {
        placing.then((late) => late.release()).catch(() => undefined);
        throw error;
      },
    );
  } catch (error) {
    free(context, ref, reservation);
    throw error;
  }
  return createIn(context, ref, request, { placed, reservation, deadline, call });
}

/** The id of a create that failed seems free, as nobody can see a task of it, and is not before that is undone. */
async function earlierUndone(
  context: Context,
  ref: TaskRef,
  limit: { readonly deadline: number; readonly signal: AbortSignal | undefined },
): Promise<void> {
  for (let undone = context.registry.undoing(ref); undone !== undefined; undone = context.registry.undoing(ref)) {
    await until(undone, { ...limit, doing: `waiting until an earlier create of task ${ref.task} is undone` });
  }
}

interface Attempt {
  readonly placed: Placed;
  readonly reservation: Reservation;
  readonly deadline: number;
  readonly call: CallOptions;
}

async function createIn(
  context: Context,
  ref: TaskRef,
  request: CreateRequest,
  attempt: Attempt,
): Promise<{ pid: number }> {
  const { placed, reservation, deadline, call } = attempt;
  const { signal } = call;
  placed.shim?.creating.add(ref.task);
  const madeAt = Date.now();
  const whole = placed.slot.run({
    kind: 'create-task',
    deadline,
    ...ref,
    choice: placed.choice,
    spec: request.spec,
    rootfs: request.rootfs,
    stdio: request.stdio,
    ...(request.options === undefined ? {} : { options: request.options }),
    checkpoint: request.checkpoint ?? '',
    ...(request.rootfsDiff === undefined ? {} : { rootfsDiff: request.rootfsDiff }),
    runtime: request.runtime,
  });
  try {
    const reply = await until(whole, { deadline: deadline + answerGrace, signal, doing: `creating task ${ref.task}` });
    assertAwaited(`creating task ${ref.task}`, call);
    // A report that overtook the reply has told of its end: the task would be told to be over by nobody.
    if (placed.shim?.state.kind === 'gone') throw unavailable(`creating task ${ref.task}: its shim was lost`);
    commit(context, ref, request, { ...attempt, madeAt }, reply);
    placed.shim?.creating.delete(ref.task);
    placed.release();
    return { pid: reply.pid };
  } catch (error) {
    const undone = undo(context, ref, placed, whole).finally(() => {
      placed.shim?.creating.delete(ref.task);
      placed.release();
      free(context, ref, reservation);
    });
    reservation.undoing(undone.catch(() => undefined));
    context.background.run('create not undone', () => undone);
    const gaveUp = hasCode(error, 'CANCELLED', 'DEADLINE_EXCEEDED');
    if (!gaveUp)
      await until(undone, { deadline: deadlineIn(undoPatience), doing: 'undoing a create', signal }).catch(
        () => undefined,
      );
    throw TaskError.from(error);
  }
}

function commit(
  context: Context,
  ref: TaskRef,
  request: CreateRequest,
  { placed, reservation, madeAt }: Pick<Attempt, 'placed' | 'reservation'> & { readonly madeAt: number },
  reply: CreateTaskReply,
): void {
  const { directories, registry, logger, events, router } = context;
  const bundle = taskBundle(directories, ref.namespace, ref.task);
  const shim =
    placed.shim ??
    new Shim({
      namespace: ref.namespace,
      id: parseShimId(ref.task),
      mode: placed.choice.kind === 'joined' ? 'joined' : 'per-task',
      binary: placed.binary,
      bundle,
      slot: placed.slot,
      state: { kind: 'live', info: reply.shim },
      logger,
    });
  if (placed.shim === undefined) registry.addShim(shim);
  const init = new TaskProcess(ref, request.stdio, { kind: 'created', pid: reply.pid }, logger);
  const facts = specFacts(request.spec);
  const task = new Task({ ref, runtime: request.runtime, bundle, facts, init, shim, madeAt });
  reservation.commit(task);
  logger.info('task created', { ...ref, shim: shim.id, slot: shim.slot.id, pid: reply.pid });
  events.created(task, { rootfs: request.rootfs, checkpoint: request.checkpoint ?? '' });
  router.created(task);
}

function free(context: Context, ref: TaskRef, reservation: Reservation): void {
  context.router.forgotten(ref);
  reservation.release();
}

/** Leaves nothing of a create that failed. The worker undoes its own; a lost thread, or a late success, is undone here. */
async function undo(context: Context, ref: TaskRef, placed: Placed, whole: Promise<CreateTaskReply>): Promise<void> {
  const failure = await whole.then(
    () => undefined,
    (error: unknown) => TaskError.from(error),
  );
  if (failure !== undefined && !hasCode(failure, 'UNAVAILABLE', 'DEADLINE_EXCEEDED')) return;
  const { call, cleanup, state } = context.deadlines;
  const limit = deadlineIn(call + state + undoBudget);
  const { signal } = context.background;
  for (let pause = 20; ; pause = Math.min(pause * 2, 1000)) {
    try {
      await removeByForce(context, ref, placed, { budget: cleanup * 2 });
      return;
    } catch (error) {
      if (Date.now() >= limit || signal.aborted) throw error;
    }
    await delay(pause, undefined, { signal });
  }
}
