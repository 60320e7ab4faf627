import { TaskError } from '../../shared/errors/index.ts';
import type { SandboxRef } from '../../shared/identifiers.ts';
import type { Platform, SandboxMetric, SandboxStatus } from '../../shared/messages/index.ts';
import { timestampNow } from '../../shared/wire/timestamp.ts';
import { ask, deadlineOf } from '../ask.ts';
import type { Context } from '../context.ts';
import type { CallOptions } from '../options.ts';
import type { Sandbox } from './sandbox.ts';
import { endpointOf, shimOfSandbox } from './start.ts';

export interface SandboxView extends SandboxStatus {
  /** Empty where its shim is gone. */
  readonly address: string;
  readonly apiVersion: number;
}

/** The words that containerd's clients know. */
const ready = 'SANDBOX_READY';
const notReady = 'SANDBOX_NOTREADY';

/**
 * How a sandbox is, by its shim; what the shim leaves out, or does not answer in time, is what was known last. Of one that
 * is not there, that it has ended: so containerd answers, and its clients rely on it.
 */
export async function sandboxStatus(
  context: Context,
  ref: SandboxRef,
  request: { readonly verbose: boolean },
  call: CallOptions,
): Promise<SandboxView> {
  const sandbox = context.sandboxes.find(ref);
  if (sandbox === undefined)
    return { pid: 0, state: notReady, info: {}, exitedAt: timestampNow(), address: '', apiVersion: 0 };
  const told = await askShim(context, sandbox, request.verbose, call);
  const { state, shim } = sandbox;
  const exitedAt = state.kind === 'stopped' ? state.exit.exitedAt : told?.exitedAt;
  const runs = state.kind === 'running' || state.kind === 'ending';
  return {
    pid: told?.pid || sandbox.pid,
    state: told?.state || (runs ? ready : notReady),
    info: told?.info ?? {},
    createdAt: told?.createdAt ?? sandbox.createdAt,
    exitedAt,
    extra: told?.extra,
    ...endpointOf(shim?.info),
  };
}

async function askShim(
  context: Context,
  { ref, shim }: Sandbox,
  verbose: boolean,
  call: CallOptions,
): Promise<SandboxStatus | undefined> {
  if (shim === undefined) return undefined;
  const deadline = deadlineOf(context.deadlines.state, call);
  try {
    return await ask(shim, { kind: 'sandbox-status', deadline, ...ref, verbose }, call.signal);
  } catch (error) {
    context.logger.debug('sandbox not asked', { ...ref, error: TaskError.from(error).message });
    return undefined;
  }
}

export async function sandboxPlatform(context: Context, ref: SandboxRef, call: CallOptions): Promise<Platform> {
  const deadline = deadlineOf(context.deadlines.call, call);
  const shim = shimOfSandbox(context.sandboxes.get(ref));
  return ask(shim, { kind: 'sandbox-platform', deadline, ...ref }, call.signal);
}

export async function sandboxMetrics(context: Context, ref: SandboxRef, call: CallOptions): Promise<SandboxMetric> {
  const deadline = deadlineOf(context.deadlines.metrics, call);
  const shim = shimOfSandbox(context.sandboxes.get(ref));
  return ask(shim, { kind: 'sandbox-metrics', deadline, ...ref }, call.signal);
}
