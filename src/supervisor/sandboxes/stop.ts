import { hasCode } from '../../shared/errors/index.ts';
import type { SandboxRef } from '../../shared/identifiers.ts';
import { deadlineIn, until } from '../../shared/util/deadline.ts';
import { timestampNow } from '../../shared/wire/timestamp.ts';
import { ask, join } from '../ask.ts';
import type { Context } from '../context.ts';
import type { CallOptions } from '../options.ts';
import type { Sandbox } from './sandbox.ts';
import { settleSandbox } from './settle.ts';
import { endWorkloads } from './workloads.ts';

/** Limits of one stop. */
export interface StopLimits {
  /** Between SIGTERM and SIGKILL for the workloads; the shim is told it too. */
  readonly timeoutSeconds: number;
  /** Milliseconds that the shim may take beside that. */
  readonly budget: number;
}

/**
 * Stops a sandbox: its workloads first, since some shims go at once and leave them behind. One that is not there, or has
 * stopped, is stopped. It goes on without its caller, and can be repeated.
 */
export async function stopSandbox(
  context: Context,
  ref: SandboxRef,
  request: { readonly timeoutSeconds: number },
  call: CallOptions,
): Promise<void> {
  const sandbox = context.sandboxes.find(ref);
  if (sandbox === undefined) return;
  const { timeoutSeconds } = request;
  const budget = context.deadlines.call + timeoutSeconds * 1000;
  const stopped = joinStop(context, sandbox, { timeoutSeconds, budget: context.deadlines.call });
  await join(stopped, budget, call, `stopping sandbox ${ref.sandbox}`);
}

/** Stops it, or joins the stop that is under way. */
export function joinStop(context: Context, sandbox: Sandbox, how: StopLimits): Promise<void> {
  sandbox.stop ??= wholeStop(context, sandbox, how).finally(() => {
    sandbox.stop = undefined;
  });
  return sandbox.stop;
}

async function wholeStop(context: Context, sandbox: Sandbox, how: StopLimits): Promise<void> {
  const { timeoutSeconds, budget } = how;
  if (sandbox.state.kind === 'stopped' || sandbox.state.kind === 'removed') return;
  const { deadlines } = context;
  sandbox.ending = true;
  const exit = sandbox.waiters.add();
  exit.promise.catch(() => undefined);
  try {
    await endWorkloads(context, sandbox, timeoutSeconds * 1000);
    const { shim, ref } = sandbox;
    if (shim !== undefined) {
      const deadline = deadlineIn(budget + timeoutSeconds * 1000);
      await ask(shim, { kind: 'stop-sandbox', deadline, ...ref, timeoutSeconds }).catch((error: unknown) => {
        // It went meanwhile.
        if (!hasCode(error, 'UNAVAILABLE') || shim.state.kind !== 'gone') throw error;
      });
    }
    // The shim tells the exit, or goes, and what it leaves is cleaned up first. Not every shim does either.
    const deadline = deadlineIn(deadlines.shutdown + deadlines.cleanup);
    await until(exit.promise, { deadline, doing: `waiting for the end of sandbox ${ref.sandbox}` }).catch(() =>
      settleSandbox(context, sandbox, { status: 0, exitedAt: timestampNow(), madeUp: true }),
    );
  } catch (error) {
    // It may still run, and take tasks: who wants its end asks again.
    if (sandbox.shutdown === undefined && sandbox.state.kind !== 'ending') sandbox.ending = false;
    throw error;
  } finally {
    exit.forget();
  }
}
