import type { ProcessRef } from '../shared/identifiers.ts';
import { ask, deadlineOf, shimOf } from './ask.ts';
import type { Context } from './context.ts';
import type { CallOptions } from './options.ts';
import { checkKillable, checkSignal } from './request-checks.ts';

const sigkill = 9;

/** Sends a signal to a process, or to all of its task. */
export async function killProcess(
  context: Context,
  ref: ProcessRef,
  request: { readonly signal: number; readonly all: boolean },
  call: CallOptions,
): Promise<void> {
  checkSignal(request.signal);
  const { task, process } = context.registry.process(ref);
  checkKillable(process);
  if (request.signal === sigkill) {
    const withIt = process === task.init && (request.all || task.facts.ownsPidNamespace) ? task.processes() : [process];
    for (const killed of withIt) killed.killed = true;
  }
  const deadline = deadlineOf(context.deadlines.call, call);
  await ask(shimOf(task), { kind: 'kill', deadline, ...ref, signal: request.signal, all: request.all }, call.signal);
}
