import { TaskError } from '../../shared/errors/index.ts';
import { parseSandboxId } from '../../shared/identifiers.ts';
import { timestampNow } from '../../shared/wire/timestamp.ts';
import type { StoredSandboxExit } from '../../store/sandbox-exit-store.ts';
import type { Context } from '../context.ts';
import type { Shim } from '../shim.ts';
import type { Sandbox } from './sandbox.ts';

/** Every end of a sandbox comes through here, any number of times; it is told once, and stored before. */
export function settleSandbox(context: Context, sandbox: Sandbox, exit: StoredSandboxExit): void {
  const { state } = sandbox;
  if (state.kind === 'stopped' || state.kind === 'removed') return;
  const { wasStarted } = sandbox;
  try {
    // From here to its event nothing waits, and so no other event comes between them.
    const after = wasStarted ? context.events.cursor : undefined;
    context.sandboxExits.put(sandbox.ref, { ...exit, after });
  } catch (error) {
    context.logger.error('exit not stored', { ...sandbox.ref, error: TaskError.from(error).message });
    storeLater(context, sandbox, exit);
  }
  sandbox.set({ kind: 'stopped', exit });
  if (wasStarted) context.sandboxEvents.exited(sandbox, exit);
  sandbox.waiters.resolve(exit);
}

/** A full disk refuses the exit: it is told now, and stored when there is room again. */
function storeLater({ retries, sandboxExits, logger }: Context, sandbox: Sandbox, exit: StoredSandboxExit): void {
  const { ref } = sandbox;
  retries.add(`sandbox ${ref.namespace}/${ref.sandbox}`, () => {
    // What was shut down meanwhile has no exit any more. By now its event is out.
    if (sandbox.state.kind === 'stopped') sandboxExits.put(ref, { ...exit, after: undefined });
    logger.info('exit stored late', { ...ref, status: exit.status });
  });
}

/**
 * The shim of a sandbox is gone, and every task of it was told to be over: now the sandbox is. A shim that went because
 * it was asked to ended well, unless it had said otherwise.
 */
export function sandboxShimGone(context: Context, shim: Shim): void {
  const sandbox = sandboxOf(context, shim);
  if (sandbox === undefined) return;
  sandbox.shim = undefined;
  const seen = sandbox.state.kind === 'ending' ? sandbox.state.exit : sandbox.earlyExit;
  const made = { status: sandbox.ending ? 0 : 137, exitedAt: timestampNow() };
  if (context.events.recovering) sandbox.endedUnseen = true;
  settleSandbox(context, sandbox, { ...(seen ?? made), madeUp: seen === undefined });
}

/** The sandbox that a shim is of; undefined for other shims, and for one of a create that is being undone. */
export function sandboxOf({ sandboxes }: Context, shim: Shim): Sandbox | undefined {
  if (shim.mode !== 'sandbox') return undefined;
  const sandbox = sandboxes.find({ namespace: shim.namespace, sandbox: parseSandboxId(shim.id) });
  return sandbox?.shim === shim ? sandbox : undefined;
}
