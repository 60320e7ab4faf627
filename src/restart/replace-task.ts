import { failedPrecondition, hasCode, TaskError } from '../shared/errors/index.ts';
import { parseSandboxId, type TaskRef } from '../shared/identifiers.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import type { Container } from '../store/index.ts';
import { logTarget } from './log-target.ts';
import type { Parts } from './parts.ts';
import type { Launch } from './record.ts';
import { readWish } from './wish.ts';

/** How long an ordinary delete of an ended task may take before it is forced, in milliseconds: a shim may hang. */
const deletePatience = 10_000;

/**
 * Puts a new, running task in the place of what there is. All or nothing: where it throws, no task is left, or what could not
 * be removed is met by the next attempt.
 */
export async function replaceTask(
  parts: Parts,
  ref: TaskRef,
  how: { readonly container: Container; readonly launch: Launch | undefined; readonly log: string },
): Promise<{ readonly pid: number }> {
  await removeTask(parts, ref);
  // Only this is bounded: a hanging shim of one service must not take the turns of the others.
  return parts.turns.take(parts.signal, () => makeTask(parts, ref, how));
}

/** Removes an ended or half-made task; that there is none is fine. */
export async function removeTask({ tasks, signal }: Parts, ref: TaskRef): Promise<void> {
  tasks.tellHeld(ref);
  try {
    const { status } = await tasks.get(ref);
    if (status === 'stopped') {
      const gone = await tasks.delete(ref, { deadline: deadlineIn(deletePatience), signal }).then(
        () => true,
        (error: unknown) => hasCode(error, 'NOT_FOUND'),
      );
      if (gone) return;
    }
    await tasks.destroy(ref, { signal });
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error;
  }
}

async function makeTask(
  parts: Parts,
  ref: TaskRef,
  how: { readonly container: Container; readonly launch: Launch | undefined; readonly log: string },
): Promise<{ readonly pid: number }> {
  const { tasks, logger, config } = parts;
  const { container, launch, log } = how;
  const options = launch === undefined ? container.runtime.options : launch.options;
  const target = await logTarget(log, launch, { terminal: wantsTerminal(container.spec.value), config });
  if (target.refused !== undefined) {
    logger.warn('log target of a label refused', { ...ref, uri: log, reason: target.refused });
  }
  // A daemon that stops lets what it has begun come to its end, so none of these takes the signal.
  await tasks.create(ref, {
    runtime: launch?.runtime || container.runtime.name,
    spec: container.spec.value,
    rootfs: launch?.rootfs ?? [],
    stdio: target.stdio,
    ...(options === undefined ? {} : { options }),
    ...(container.sandbox === '' ? {} : { sandbox: membershipOf(parts, ref, container.sandbox) }),
  });
  try {
    const started = await tasks.start(ref);
    assertWanted(parts, ref, container);
    return started;
  } catch (error) {
    await tasks.destroy(ref).catch((failure: unknown) => {
      if (!hasCode(failure, 'NOT_FOUND')) {
        logger.warn('task of a failed restart not removed', { ...ref, error: TaskError.from(failure).message });
      }
    });
    throw error;
  }
}

/** Somebody may have stopped the service meanwhile, or removed the container: nobody would look after its task. */
function assertWanted({ store, ended }: Parts, ref: TaskRef, container: Container): void {
  if (ended.aborted) return;
  const now = store.containers.find(ref.namespace, ref.task);
  const { seconds, nanos } = container.createdAt;
  const isSame = now !== undefined && now.createdAt.seconds === seconds && now.createdAt.nanos === nanos;
  if (isSame && readWish(now.labels).kind === 'running') return;
  throw failedPrecondition(
    `restarting ${ref.task}: it was stopped or its container was removed meanwhile: failed precondition`,
  );
}

function membershipOf({ store }: Parts, { namespace }: TaskRef, sandbox: string) {
  const id = parseSandboxId(sandbox);
  return { id, isKnown: store.sandboxes.find(namespace, id) !== undefined };
}

function wantsTerminal(spec: Uint8Array): boolean {
  try {
    const value: unknown = JSON.parse(Buffer.from(spec.buffer, spec.byteOffset, spec.byteLength).toString('utf8'));
    const process: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, 'process') : undefined;
    return typeof process === 'object' && process !== null && Reflect.get(process, 'terminal') === true;
  } catch {
    return false;
  }
}
