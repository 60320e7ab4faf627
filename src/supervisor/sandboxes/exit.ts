import type { SandboxRef } from '../../shared/identifiers.ts';
import type { SandboxExit } from '../../shared/messages/index.ts';
import type { Context } from '../context.ts';
import { settleSandbox } from './settle.ts';
import { endWorkloads } from './workloads.ts';

/**
 * The shim says that a sandbox ended. What still runs in it is ended first, so that the sandbox's exit is the last; an
 * exit that overtook the reply to the start waits for that.
 */
export function takeSandboxExit(context: Context, ref: SandboxRef, { status, exitedAt }: SandboxExit): void {
  const sandbox = context.sandboxes.find(ref);
  if (sandbox === undefined) return;
  const exit: SandboxExit = { status, exitedAt };
  const { kind } = sandbox.state;
  if (kind === 'starting') sandbox.earlyExit = exit;
  if (kind !== 'running' && kind !== 'created') return;
  sandbox.ending = true;
  sandbox.set({ kind: 'ending', exit });
  context.background.run('sandbox not ended', async () => {
    await endWorkloads(context, sandbox, 0);
    // A daemon that stops meanwhile tells it after its next start.
    if (!context.background.signal.aborted) settleSandbox(context, sandbox, { ...exit, madeUp: false });
  });
}
