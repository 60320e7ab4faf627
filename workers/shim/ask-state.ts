import type { ProcessSnapshot } from '../../src/shared/messages/index.ts';
import type { Task, TaskProcess } from '../task.ts';
import { runsAlready } from './runs-already.ts';
import { snapshotOf } from './snapshot.ts';

/** The state of a process as its shim tells it; of an init whose Start was sent, as it is: see `runsAlready`. */
export async function askState(task: Task, process: TaskProcess, deadline: number): Promise<ProcessSnapshot> {
  const request = { id: task.ref.task, execId: process.exec ?? '' };
  const state = await task.shim.client.call((api) => api.state, request, { deadline });
  const snapshot = snapshotOf(state, process);
  if (snapshot.status !== 'created' || process.exec !== undefined || process.start === 'none') return snapshot;
  return (await runsAlready(task.bundle, process.pid)) ? { ...snapshot, status: 'running' } : snapshot;
}
