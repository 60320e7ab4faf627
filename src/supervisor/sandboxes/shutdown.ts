import { failedPrecondition, notFound, TaskError } from '../../shared/errors/index.ts';
import type { SandboxRef } from '../../shared/identifiers.ts';
import { deadlineIn } from '../../shared/util/deadline.ts';
import { timestampNow } from '../../shared/wire/timestamp.ts';
import { answerGrace, join } from '../ask.ts';
import { assertServing } from '../bundle-removal.ts';
import type { Context } from '../context.ts';
import type { CallOptions } from '../options.ts';
import type { Shim } from '../shim.ts';
import type { Sandbox } from './sandbox.ts';
import { settleSandbox } from './settle.ts';
import { joinStop } from './stop.ts';
import { removeWorkloads } from './workloads.ts';

const budgetOf = ({ deadlines }: Context): number =>
  deadlines.call + deadlines.load + 4 * deadlines.shutdown + 6 * deadlines.cleanup;

/**
 * Ends a sandbox whatever its state, and its shim with it: after that its id is free. What is left of its tasks are their
 * exits. It goes on without its caller, and can be repeated until it has succeeded.
 */
export async function shutdownSandbox(context: Context, ref: SandboxRef, call: CallOptions): Promise<void> {
  const sandbox = context.sandboxes.get(ref);
  await join(removeSandbox(context, sandbox), budgetOf(context), call, `shutting down sandbox ${ref.sandbox}`);
}

/** Removes it, or joins the removal that is under way. */
export function removeSandbox(context: Context, sandbox: Sandbox): Promise<void> {
  sandbox.shutdown ??= wholeShutdown(context, sandbox).finally(() => {
    sandbox.shutdown = undefined;
  });
  return sandbox.shutdown;
}

async function wholeShutdown(context: Context, sandbox: Sandbox): Promise<void> {
  const { ref } = sandbox;
  sandbox.ending = true;
  await reach(context, sandbox);
  try {
    await joinStop(context, sandbox, { timeoutSeconds: 0, budget: context.deadlines.cleanup });
  } catch (error) {
    // A shim that does not stop it in order is ended all the same.
    context.logger.warn('sandbox not stopped', { ...ref, error: TaskError.from(error).message });
  }
  const { shim } = sandbox;
  if (shim !== undefined) await endShimOf(context, sandbox, shim);
  await sandbox.removal;
  assertServing(context, `sandbox ${ref.sandbox}`);
  settleSandbox(context, sandbox, { status: 137, exitedAt: timestampNow(), madeUp: true });
  sandbox.set({ kind: 'removed' });
  sandbox.waiters.reject(notFound(`sandbox ${ref.sandbox} not found: not found`));
  context.sandboxes.remove(sandbox);
  context.sandboxEvents.forget(ref);
  forgetExit(context, ref);
  context.logger.info('sandbox removed', { ...ref });
}

/** Waits for an adoption under way, so that the slot knows the shim; one that is silent is ended without. */
async function reach(context: Context, { shim, ref }: Sandbox): Promise<void> {
  if (shim?.state.kind !== 'adopting') return;
  const deadline = deadlineIn(context.deadlines.load + answerGrace);
  await shim.usable({ deadline, doing: `shutting down sandbox ${ref.sandbox}` }).catch(() => undefined);
}

async function endShimOf(context: Context, sandbox: Sandbox, shim: Shim): Promise<void> {
  const { deadlines, registry } = context;
  const { ref } = sandbox;
  await removeWorkloads(context, sandbox);
  if (shim.tasks.size > 0) {
    const names = [...shim.tasks].map((task) => task.ref.task).join(', ');
    throw failedPrecondition(
      `sandbox ${ref.sandbox} still has tasks that could not be removed: ${names}: try again: failed precondition`,
    );
  }
  // A task whose removal found the shim gone took the sandbox with it.
  if (sandbox.shim === undefined) return;
  const deadline = deadlineIn(3 * deadlines.shutdown + 2 * deadlines.cleanup);
  await shim.slot.run({ kind: 'shutdown-sandbox', deadline, ...ref });
  sandbox.shim = undefined;
  shim.set({ kind: 'stopping' });
  shim.set({ kind: 'gone', reason: 'its sandbox was shut down' });
  registry.removeShim(shim);
}

/** A full disk keeps an exit that nobody asks for any more; the next create of the id removes it. */
function forgetExit(context: Context, ref: SandboxRef): void {
  try {
    context.sandboxExits.remove(ref);
  } catch (error) {
    context.logger.error('exit not removed', { ...ref, error: TaskError.from(error).message });
  }
}
