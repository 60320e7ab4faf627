import { alreadyExists, hasCode, invalidArgument } from '../../src/shared/errors/index.ts';
import type { ExecOperation } from '../../src/shared/messages/index.ts';
import { until } from '../../src/shared/util/deadline.ts';
import { wireAny } from '../../src/shared/wire/any.ts';
import { appendProcess } from '../shim/bundle.ts';
import { forgetExec } from '../shim/forget-exec.ts';
import { stdioForShim } from '../shim/stdio.ts';
import type { WorkerSlot } from '../slot.ts';
import { type Task, TaskProcess } from '../task.ts';

async function addToShim(task: Task, operation: ExecOperation, caller: { gone: boolean }): Promise<{ added: true }> {
  const { exec, stdio, spec } = operation;
  const id = task.ref.task;
  const { client } = task.shim;
  const process = new TaskProcess({ exec, pid: 0, stdio });
  process.adding = true;
  task.processes.set(exec, process);
  try {
    // A shim does not list its execs: what is not written down before is not found again.
    appendProcess(task.bundle, { exec, pid: 0, stdio });
    await client.call((api) => api.exec, { id, execId: exec, ...stdioForShim(stdio), spec: wireAny(spec) });
  } catch (error) {
    // With the connection went the answer: the shim may have it, and is asked to delete it.
    if (hasCode(error, 'UNAVAILABLE')) process.adding = false;
    else forgetExec(task, process);
    throw error;
  }
  if (caller.gone) {
    // Nobody knows of it: its name is free again. Where the shim does not delete it, whoever gave it up has that to do.
    const isGone = await client
      .call((api) => api.delete, { id, execId: exec })
      .then(
        () => true,
        (error: unknown) => hasCode(error, 'NOT_FOUND'),
      );
    if (isGone) forgetExec(task, process);
  }
  process.adding = false;
  return { added: true };
}

/** Adds an exec to a task, without starting it. One that is added after its caller gave up is deleted again. */
export async function addExec(slot: WorkerSlot, operation: ExecOperation): Promise<{ added: true }> {
  const task = slot.task(operation);
  const { exec, spec } = operation;
  // Shims panic on an exec without a spec.
  if (spec.typeUrl === '' || spec.value.length === 0) {
    throw invalidArgument(`exec ${exec} of task ${operation.task} has no process spec: invalid argument`);
  }
  if (task.processes.has(exec)) throw alreadyExists(`id ${exec}: already exists`);
  // An earlier exec of this name is over: its exit must not be taken for the new one's.
  slot.takeLateDelete(operation);
  const caller = { gone: false };
  try {
    const doing = `adding exec ${exec} to task ${operation.task}`;
    return await until(addToShim(task, operation, caller), { deadline: operation.deadline, doing });
  } catch (error) {
    if (hasCode(error, 'DEADLINE_EXCEEDED')) caller.gone = true;
    throw error;
  }
}
