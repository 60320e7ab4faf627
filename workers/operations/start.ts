import { failedPrecondition } from '../../src/shared/errors/index.ts';
import type { StartOperation } from '../../src/shared/messages/index.ts';
import { until } from '../../src/shared/util/deadline.ts';
import { appendProcess } from '../shim/bundle.ts';
import type { WorkerSlot } from '../slot.ts';
import type { Task, TaskProcess } from '../task.ts';

/** Shims do not survive a second Start of an exec: whoever comes after a Start that was cut off has to know of it. */
async function recordStart(task: Task, process: TaskProcess): Promise<void> {
  const { exec, stdio } = process;
  try {
    await appendProcess(task.bundle, { exec, pid: 0, stdio, starting: true });
  } catch (error) {
    // Nothing was sent.
    process.start = 'none';
    throw error;
  }
}

async function startInShim(slot: WorkerSlot, task: Task, process: TaskProcess): Promise<{ pid: number }> {
  const { exec } = process;
  process.start = 'running';
  if (exec !== undefined) await recordStart(task, process);
  try {
    const { pid } = await task.shim.client.call((api) => api.start, { id: task.ref.task, execId: exec ?? '' });
    process.start = 'none';
    if (exec !== undefined) {
      process.pid = pid;
      // Before the record: an exit must not wait for the disk.
      slot.exits.watch(task, process);
      await appendProcess(task.bundle, { exec, pid, stdio: process.stdio });
    }
    return { pid: process.pid || pid };
  } catch (error) {
    if (process.start === 'running') process.start = 'failed';
    throw error;
  }
}

/**
 * Starts a created process. One whose start failed is not started again, which shims do not survive. A start that
 * outlives its caller goes on: the process then runs, and its exit is reported.
 */
export async function startProcess(slot: WorkerSlot, operation: StartOperation): Promise<{ pid: number }> {
  const { task, process } = slot.process(operation);
  const name = operation.exec ?? operation.task;
  if (process.start !== 'none') {
    const why = process.start === 'failed' ? 'an earlier start failed: delete it' : 'a start is under way';
    throw failedPrecondition(`cannot start process ${name}: ${why}: failed precondition`);
  }
  return until(startInShim(slot, task, process), { deadline: operation.deadline, doing: `starting process ${name}` });
}
