import { hasCode, TaskError } from '../../shared/errors/index.ts';
import type { AdoptSandboxReply } from '../../shared/messages/index.ts';
import { deadlineIn } from '../../shared/util/deadline.ts';
import type { Context } from '../context.ts';
import type { Shim } from '../shim.ts';
import { takeSandboxExit } from './exit.ts';
import type { Sandbox } from './sandbox.ts';
import { sandboxOf } from './settle.ts';
import { sandboxStarted } from './started.ts';

/** After the adoption of a shim: how its sandbox is. False where the shim did not answer for it, and is to be asked again. */
export async function adoptSandbox(context: Context, shim: Shim): Promise<boolean> {
  const sandbox = sandboxOf(context, shim);
  if (sandbox === undefined || shim.state.kind !== 'live') return true;
  if (sandbox.state.kind === 'stopped' || sandbox.state.kind === 'removed') return true;
  const found = context.events.recovering;
  try {
    const deadline = deadlineIn(context.deadlines.load);
    apply(context, sandbox, await shim.slot.run({ kind: 'adopt-sandbox', deadline, ...sandbox.ref }), found);
    return true;
  } catch (error) {
    context.logger.warn('sandbox not adopted', { ...sandbox.ref, error: TaskError.from(error).message });
    // A lost thread has its own try coming; what else went wrong will not be better the next time.
    if (!hasCode(error, 'DEADLINE_EXCEEDED')) return true;
    shim.overdue += 1;
    return false;
  }
}

function apply(context: Context, sandbox: Sandbox, reply: AdoptSandboxReply, recovering: boolean): void {
  const { kind } = sandbox.state;
  if (kind !== 'created' && kind !== 'starting' && kind !== 'running') return;
  if (reply.pid > 0) sandbox.pid = reply.pid;
  sandbox.createdAt ??= reply.createdAt;
  if (kind === 'starting' && !sandbox.startUnderWay) {
    if (reply.phase === 'started') sandboxStarted(context, sandbox);
    // Starts are all or nothing for the shim: it can be asked again.
    else sandbox.set({ kind: 'created' });
  }
  if (reply.exit === undefined) return;
  sandbox.endedUnseen = recovering;
  takeSandboxExit(context, sandbox.ref, reply.exit);
}
