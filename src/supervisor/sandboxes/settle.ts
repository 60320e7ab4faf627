import { TaskError } from '../../shared/errors/index.ts';
import { parseSandboxId, type SandboxRef } from '../../shared/identifiers.ts';
import { deadlineIn } from '../../shared/util/deadline.ts';
import { timestampNow } from '../../shared/wire/timestamp.ts';
import type { StoredSandboxExit } from '../../store/sandbox-exit-store.ts';
import { removeOnceStored } from '../bundle-removal.ts';
import type { Context } from '../context.ts';
import type { Shim } from '../shim.ts';
import type { Sandbox } from './sandbox.ts';

const retryKey = ({ namespace, sandbox }: SandboxRef): string => `sandbox ${namespace}/${sandbox}`;

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
  retries.add(retryKey(ref), () => {
    // What was shut down meanwhile has no exit any more. By now its event is out.
    if (sandbox.state.kind === 'stopped') sandboxExits.put(ref, { ...exit, after: undefined });
    logger.info('exit stored late', { ...ref, status: exit.status });
  });
}

/**
 * The shim of a sandbox is gone with everything that it had, and every task of it was told to be over: now the sandbox is.
 * A shim that went because it was asked to ended well, unless it had said otherwise.
 */
export function sandboxGone(context: Context, shim: Shim): void {
  context.registry.removeShim(shim);
  const sandbox = sandboxOf(context, shim);
  if (sandbox === undefined) return;
  sandbox.shim = undefined;
  const seen = sandbox.state.kind === 'ending' ? sandbox.state.exit : sandbox.earlyExit;
  const made = { status: sandbox.ending ? 0 : 137, exitedAt: timestampNow() };
  if (context.events.recovering) sandbox.endedUnseen = true;
  settleSandbox(context, sandbox, { ...(seen ?? made), madeUp: seen === undefined });
  const { deadlines, retries } = context;
  const deadline = () => deadlineIn(deadlines.shutdown + 4 * deadlines.cleanup);
  // The exit of a sandbox that is shut down is nobody's any more.
  const isNeeded = () => sandbox.shutdown === undefined && retries.has(retryKey(sandbox.ref));
  removeOnceStored(context, sandbox, isNeeded, () =>
    shim.slot.run({ kind: 'drop-sandbox', deadline: deadline(), ...sandbox.ref }),
  );
}

/** The sandbox that a shim is of; undefined for other shims, and for one of a create that is being undone. */
export function sandboxOf({ sandboxes }: Context, shim: Shim): Sandbox | undefined {
  if (shim.mode !== 'sandbox') return undefined;
  const sandbox = sandboxes.find({ namespace: shim.namespace, sandbox: parseSandboxId(shim.id) });
  return sandbox?.shim === shim ? sandbox : undefined;
}
