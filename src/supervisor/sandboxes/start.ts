import { setTimeout as delay } from 'node:timers/promises';
import { failedPrecondition, hasCode, TaskError } from '../../shared/errors/index.ts';
import type { SandboxRef, ShimId } from '../../shared/identifiers.ts';
import type { ShimInfo } from '../../shared/messages/index.ts';
import { deadlineIn } from '../../shared/util/deadline.ts';
import { ask, deadlineOf, join } from '../ask.ts';
import type { Context } from '../context.ts';
import type { CallOptions } from '../options.ts';
import type { Shim } from '../shim.ts';
import { adoptSandbox } from './adopt.ts';
import type { Sandbox, StartedSandbox } from './sandbox.ts';
import { removeSandbox } from './shutdown.ts';
import { sandboxStarted } from './started.ts';

/** The shim of a sandbox; throws FAILED_PRECONDITION where it is gone. */
export function shimOfSandbox({ ref, shim }: Sandbox): Shim {
  if (shim !== undefined) return shim;
  throw failedPrecondition(`sandbox ${ref.sandbox} has ended: its shim is gone: failed precondition`);
}

/** Starts a sandbox. One whose start fails is removed; a start goes on when its caller gives up. */
export async function startSandbox(context: Context, ref: SandboxRef, call: CallOptions): Promise<StartedSandbox> {
  const sandbox = context.sandboxes.get(ref);
  const shim = shimOfSandbox(sandbox);
  const doing = `starting sandbox ${ref.sandbox}`;
  checkStartable(sandbox);
  await shim.usable({ deadline: deadlineOf(context.deadlines.call, call), doing, signal: call.signal });
  // Others may have been faster while the shim was adopted.
  checkStartable(sandbox);
  return join(startInShim(context, sandbox, shim), context.deadlines.call, call, doing);
}

function checkStartable({ ref, state, ending }: Sandbox): void {
  if (state.kind === 'created' && !ending) return;
  const why = ending ? 'it is being ended' : `it is ${state.kind}`;
  throw failedPrecondition(`cannot start sandbox ${ref.sandbox}: ${why}: failed precondition`);
}

async function startInShim(context: Context, sandbox: Sandbox, shim: Shim): Promise<StartedSandbox> {
  const { ref } = sandbox;
  sandbox.startFailed = false;
  sandbox.set({ kind: 'starting' });
  sandbox.startUnderWay = true;
  try {
    const deadline = deadlineIn(context.deadlines.call);
    const reply = await ask(shim, { kind: 'start-sandbox', deadline, ...ref }).finally(() => {
      sandbox.startUnderWay = false;
    });
    sandbox.pid = reply.pid;
    sandbox.createdAt = reply.createdAt;
    sandboxStarted(context, sandbox);
    return { ...reply, ...endpointOf(shim.info) };
  } catch (error) {
    if (sandbox.state.kind !== 'starting') throw error;
    // A thread was lost, or a connection: whoever adopts the shim finds out whether the start came through. Its shim, and
    // its exit tells.
    if (hasCode(error, 'UNAVAILABLE')) {
      context.background.run('sandbox start not settled', () => settleStart(context, sandbox));
      throw error;
    }
    // Nobody was told that it runs, and nothing says whether it does.
    sandbox.startFailed = true;
    sandbox.set({ kind: 'created' });
    await removeSandbox(context, sandbox).catch((failure: unknown) => {
      context.logger.error('sandbox not removed', { ...ref, error: TaskError.from(failure).message });
    });
    throw error;
  }
}

/** Asks the shim, less and less often, until what became of a start is known. */
async function settleStart(context: Context, sandbox: Sandbox): Promise<void> {
  const { signal } = context.background;
  for (let pause = 500; sandbox.state.kind === 'starting'; pause = Math.min(pause * 2, 30_000)) {
    await delay(pause, undefined, { signal });
    const { shim } = sandbox;
    if (shim === undefined) return;
    // One that is being adopted is asked by that.
    if (sandbox.state.kind === 'starting' && shim.state.kind === 'live') await adoptSandbox(context, shim);
  }
}

/** Where a client finds a shim, in the form that Tasks.Create takes. */
export function endpointOf(
  info: (Pick<ShimInfo, 'address' | 'protocol' | 'apiVersion'> & { readonly id: ShimId }) | undefined,
): { readonly address: string; readonly apiVersion: number } {
  if (info === undefined) return { address: '', apiVersion: 0 };
  const { address, protocol, apiVersion } = info;
  const url = address.includes('://') ? address : `unix://${address}`;
  return { address: `${protocol}+${url}`, apiVersion };
}
