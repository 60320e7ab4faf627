import { TaskError } from '../../src/shared/errors/index.ts';
import type { ProcessSnapshot } from '../../src/shared/messages/index.ts';
import type { WorkerSlot } from '../slot.ts';
import type { Task, TaskProcess } from '../task.ts';
import { appendProcess } from './bundle.ts';
import { runsAlready } from './runs-already.ts';
import { snapshotOf } from './snapshot.ts';

/** The state of a process as its shim tells it; of an init whose Start was sent, as it is: see `runsAlready`. */
export async function askState(
  slot: WorkerSlot,
  task: Task,
  process: TaskProcess,
  deadline: number,
): Promise<ProcessSnapshot> {
  const request = { id: task.ref.task, execId: process.exec ?? '' };
  const state = await task.shim.client.call((api) => api.state, request, { deadline });
  const snapshot = snapshotOf(state, process);
  if (process.start === 'failed') noteLateStart(slot, task, process, snapshot);
  if (snapshot.status !== 'created' || process.exec !== undefined || process.start === 'none') return snapshot;
  return (await runsAlready(task.bundle, process.pid)) ? { ...snapshot, status: 'running' } : snapshot;
}

/** The connection was lost in the middle of its Start, which came through: from now on its end is waited for. */
function noteLateStart(slot: WorkerSlot, task: Task, process: TaskProcess, { pid, status }: ProcessSnapshot): void {
  if (status !== 'running' || pid <= 0 || process.pid > 0) return;
  process.start = 'none';
  process.identify(pid, task.shim);
  slot.exits.watch(task, process);
  try {
    appendProcess(task.bundle, process.record);
  } catch (error) {
    const reason = TaskError.from(error).message;
    slot.logger.warn('pid not recorded', { ...task.ref, exec: process.exec, reason });
  }
}
