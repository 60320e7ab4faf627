import type { Context } from '../context.ts';
import { takeSandboxExit } from './exit.ts';
import type { Sandbox } from './sandbox.ts';

/** The reply to the start was handled: the event goes out, and an exit that overtook it after that. */
export function sandboxStarted(context: Context, sandbox: Sandbox): void {
  if (sandbox.state.kind !== 'starting') return;
  sandbox.set({ kind: 'running' });
  context.sandboxEvents.started(sandbox);
  const { earlyExit } = sandbox;
  sandbox.earlyExit = undefined;
  if (earlyExit !== undefined) takeSandboxExit(context, sandbox.ref, earlyExit);
}
