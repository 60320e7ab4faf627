import path from 'node:path';
import { failedPrecondition } from '../../src/shared/errors/index.ts';
import { bundleFiles } from '../../src/shared/layout.ts';
import type { StartOperation } from '../../src/shared/messages/index.ts';
import { until } from '../../src/shared/util/deadline.ts';
import { appendProcess } from '../shim/bundle.ts';
import { explainCriu } from '../shim/criu-log.ts';
import { runsAlready } from '../shim/runs-already.ts';
import { underWatch } from '../shim/watchdog.ts';
import type { WorkerSlot } from '../slot.ts';
import type { Task, TaskProcess } from '../task.ts';

/**
 * Shims do not survive a second Start of an exec, and a restore is not to be repeated: whoever comes after a Start that was
 * cut off has to know of it.
 */
function recordStart(task: Task, process: TaskProcess): void {
  const { exec, stdio, restores } = process;
  try {
    appendProcess(task.bundle, { exec, pid: 0, stdio, starting: true, ...(restores ? { restores } : {}) });
  } catch (error) {
    // Nothing was sent.
    process.start = 'none';
    throw error;
  }
}

/**
 * Sends Start. Where its runtime hung and was killed, it may have come as far as to run the program: an init whose
 * program runs is started, whatever the shim says.
 */
async function sendStart(slot: WorkerSlot, task: Task, process: TaskProcess): Promise<{ pid: number }> {
  const request = { id: task.ref.task, execId: process.exec ?? '' };
  let killed = false;
  const call = () => task.shim.client.call((api) => api.start, request);
  try {
    return await underWatch(slot, task.shim, task.ref.task, call, () => (killed = true));
  } catch (error) {
    if (killed && process.exec === undefined && (await runsAlready(task.bundle, process.pid))) {
      process.start = 'failed';
      return { pid: process.pid };
    }
    throw error;
  }
}

async function startInShim(slot: WorkerSlot, task: Task, process: TaskProcess): Promise<{ pid: number }> {
  const { exec } = process;
  process.start = 'running';
  const recorded = exec !== undefined || process.restores;
  if (recorded) recordStart(task, process);
  try {
    const { pid } = await sendStart(slot, task, process);
    if (process.start === 'running') process.start = 'none';
    if (recorded) {
      process.identify(pid, task.shim);
      // Before the record: an exit must not wait for the disk.
      slot.exits.watch(task, process);
      appendProcess(task.bundle, process.record);
    }
    return { pid: process.pid || pid };
  } catch (error) {
    if (process.start === 'running') process.start = 'failed';
    if (!process.restores) throw error;
    throw await explainCriu(error, `restoring task ${task.ref.task}`, [
      path.join(task.bundle, bundleFiles.work, 'restore.log'),
    ]);
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
