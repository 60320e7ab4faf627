import { alreadyExists, hasCode, invalidArgument, TaskError } from '../../shared/errors/index.ts';
import { parseShimId, parseTaskId, type SandboxRef } from '../../shared/identifiers.ts';
import { sandboxBundle } from '../../shared/layout.ts';
import type { Mount, ShimInfo } from '../../shared/messages/index.ts';
import { deadlineIn, until } from '../../shared/util/deadline.ts';
import { insist } from '../../shared/util/insist.ts';
import type { Any } from '../../shared/wire/any.ts';
import { answerGrace, deadlineOf } from '../ask.ts';
import type { Context } from '../context.ts';
import type { CallOptions } from '../options.ts';
import { checkOptions } from '../request-checks.ts';
import { Shim } from '../shim.ts';
import { specFacts } from '../spec-facts.ts';
import type { TaskSlot } from '../task-slot.ts';
import { Sandbox } from './sandbox.ts';
import type { SandboxReservation } from './sandboxes.ts';

/** How long its caller waits for a failed create to be undone: the same id should work again when the error arrives. */
const undoPatience = 5_000;

export interface CreateSandboxRequest {
  /** A name such as `io.containerd.runc.v2`, or the absolute path of a shim. */
  readonly runtime: string;
  /** Of the shim. */
  readonly runtimeOptions?: Any | undefined;
  /** The OCI spec, JSON; absent where the sandbox has none. */
  readonly spec?: Uint8Array | undefined;
  readonly rootfs: readonly Mount[];
  /** Passed on to the shim's CreateSandbox unread, as the next two are. */
  readonly options?: Any | undefined;
  readonly netnsPath: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Starts a sandbox's shim and creates the sandbox in it: all or nothing. */
export async function createSandbox(
  context: Context,
  ref: SandboxRef,
  request: CreateSandboxRequest,
  call: CallOptions,
): Promise<void> {
  const spec = request.spec ?? Buffer.from('{}');
  specFacts(spec);
  if (request.runtime === '')
    throw invalidArgument(`sandbox ${ref.sandbox} has no runtime: name one: invalid argument`);
  const reservation = context.sandboxes.reserve(ref);
  const deadline = deadlineOf(context.deadlines.call, call);
  let slot: TaskSlot;
  let binary: string;
  try {
    assertShimIdFree(context, ref);
    // What an earlier sandbox of this id left is not this one's.
    context.sandboxEvents.forget(ref);
    context.sandboxExits.remove(ref);
    binary = await context.placement.resolver.resolve(request.runtime);
    checkOptions(binary, request.runtimeOptions);
    // Tasks that say in their specs that they belong to it go there too.
    slot = context.placement.chooseSlot(`${ref.namespace}/${ref.sandbox}`);
  } catch (error) {
    reservation.release();
    throw error;
  }
  const { runtime, runtimeOptions, rootfs, options, netnsPath, annotations } = request;
  const whole = slot.run({
    kind: 'create-sandbox',
    deadline,
    ...ref,
    start: {
      shim: parseShimId(ref.sandbox),
      binary,
      ...(runtimeOptions === undefined ? {} : { options: runtimeOptions }),
    },
    runtime,
    spec,
    rootfs,
    ...(options === undefined ? {} : { options }),
    netnsPath,
    annotations,
  });
  try {
    const doing = `creating sandbox ${ref.sandbox}`;
    const info = await until(whole, { deadline: deadline + answerGrace, signal: call.signal, doing });
    commit(context, ref, { runtime, binary, slot, info, reservation });
  } catch (error) {
    const undone = undo(context, ref, slot, whole).finally(() => reservation.release());
    context.background.run('sandbox not undone', () => undone);
    if (!hasCode(error, 'CANCELLED', 'DEADLINE_EXCEEDED')) {
      await until(undone, { deadline: deadlineIn(undoPatience), doing: 'undoing a create', signal: call.signal }).catch(
        () => undefined,
      );
    }
    throw TaskError.from(error);
  }
}

/** A sandbox's shim is started with the sandbox's id: a shim that has it already would be taken for it. */
function assertShimIdFree({ registry }: Context, { namespace, sandbox }: SandboxRef): void {
  const task = { namespace, task: parseTaskId(sandbox) };
  if (registry.findShim(namespace, parseShimId(sandbox)) === undefined && !registry.isReserved(task)) return;
  throw alreadyExists(`sandbox ${sandbox}: a task of this id has a shim of its own: already exists`);
}

function commit(
  context: Context,
  ref: SandboxRef,
  made: {
    readonly runtime: string;
    readonly binary: string;
    readonly slot: TaskSlot;
    readonly info: ShimInfo;
    readonly reservation: SandboxReservation;
  },
): void {
  const { directories, logger, registry, sandboxEvents } = context;
  const shim = new Shim({
    namespace: ref.namespace,
    id: parseShimId(ref.sandbox),
    mode: 'sandbox',
    binary: made.binary,
    bundle: sandboxBundle(directories, ref.namespace, ref.sandbox),
    slot: made.slot,
    state: { kind: 'live', info: made.info },
    logger,
  });
  registry.addShim(shim);
  const sandbox = new Sandbox({ ref, runtime: made.runtime, shim, state: { kind: 'created' }, logger });
  made.reservation.commit(sandbox);
  logger.info('sandbox created', { ...ref, slot: shim.slot.id });
  sandboxEvents.created(sandbox);
}

/** Leaves nothing of a create that failed. The worker undoes its own; a lost thread, or a late success, is undone here. */
async function undo(context: Context, ref: SandboxRef, slot: TaskSlot, whole: Promise<ShimInfo>): Promise<void> {
  const failure = await whole.then(
    () => undefined,
    (error: unknown) => TaskError.from(error),
  );
  if (failure !== undefined && !hasCode(failure, 'UNAVAILABLE', 'DEADLINE_EXCEEDED')) return;
  const { shutdown, cleanup } = context.deadlines;
  const budget = 3 * shutdown + 2 * cleanup;
  await insist(context.background.signal, () =>
    slot.run({ kind: 'shutdown-sandbox', deadline: deadlineIn(budget), ...ref }),
  );
}
