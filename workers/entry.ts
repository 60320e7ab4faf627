import { isMainThread } from 'node:worker_threads';
import { encodeError, failedPrecondition } from '../src/shared/errors/index.ts';
import type { Operation, OperationKind, Outcome, ReplyByKind } from '../src/shared/messages/index.ts';
import { unreachable } from '../src/shared/util/unreachable.ts';
import { adoptShim } from './operations/adopt-shim.ts';
import { attach } from './operations/attach.ts';
import { checkpointTask } from './operations/checkpoint.ts';
import { closeIo } from './operations/close-io.ts';
import { createTask } from './operations/create-task.ts';
import { deleteProcess } from './operations/delete.ts';
import { destroyTask } from './operations/destroy-task.ts';
import { removeDeadBundle } from './operations/drop-bundle.ts';
import { addExec } from './operations/exec.ts';
import { killProcess } from './operations/kill.ts';
import { pauseTask } from './operations/pause.ts';
import { listPids } from './operations/pids.ts';
import { probeBinary } from './operations/probe-binary.ts';
import { readShimLog } from './operations/read-shim-log.ts';
import { removeWork } from './operations/remove-work.ts';
import { resizeTerminal } from './operations/resize.ts';
import { resumeTask } from './operations/resume.ts';
import { readRuntimeInfo } from './operations/runtime-info.ts';
import { startProcess } from './operations/start.ts';
import { startShim } from './operations/start-shim.ts';
import { readState } from './operations/state.ts';
import { readStats } from './operations/stats.ts';
import { stopShim } from './operations/stop-shim.ts';
import { updateTask } from './operations/update.ts';
import type { WorkerSlot } from './slot.ts';

if (isMainThread) throw new Error('workers/entry is loaded by a worker thread only');

let attached: WorkerSlot | undefined;

async function perform(operation: Operation): Promise<ReplyByKind[OperationKind]> {
  if (operation.kind === 'attach') {
    if (attached !== undefined) throw failedPrecondition('the thread is attached already');
    const { slot, reply } = attach(operation);
    attached = slot;
    return reply;
  }
  // A replaced thread starts without its port: what it did then would be reported to nobody.
  if (attached === undefined) {
    throw failedPrecondition(`the thread is not attached yet and cannot do ${operation.kind}: attach it first`);
  }
  const slot = attached;
  switch (operation.kind) {
    case 'probe-binary':
      return probeBinary(slot, operation);
    case 'runtime-info':
      return readRuntimeInfo(slot, operation);
    case 'start-shim':
      return startShim(slot, operation);
    case 'adopt-shim':
      return adoptShim(slot, operation);
    case 'stop-shim':
      return stopShim(slot, operation);
    case 'read-shim-log':
      return readShimLog(slot, operation);
    case 'create-task':
      return createTask(slot, operation);
    case 'start':
      return startProcess(slot, operation);
    case 'exec':
      return addExec(slot, operation);
    case 'kill':
      return killProcess(slot, operation);
    case 'delete':
      return deleteProcess(slot, operation);
    case 'destroy-task':
      return destroyTask(slot, operation);
    case 'drop-bundle':
      return removeDeadBundle(slot, operation);
    case 'remove-work':
      return removeWork(slot, operation);
    case 'state':
      return readState(slot, operation);
    case 'pids':
      return listPids(slot, operation);
    case 'pause':
      return pauseTask(slot, operation);
    case 'resume':
      return resumeTask(slot, operation);
    case 'update':
      return updateTask(slot, operation);
    case 'stats':
      return readStats(slot, operation);
    case 'checkpoint':
      return checkpointTask(slot, operation);
    case 'resize':
      return resizeTerminal(slot, operation);
    case 'close-io':
      return closeIo(slot, operation);
    case 'create-sandbox':
    case 'start-sandbox':
    case 'stop-sandbox':
    case 'shutdown-sandbox':
    case 'adopt-sandbox':
    case 'drop-sandbox':
    case 'sandbox-status':
    case 'sandbox-platform':
    case 'sandbox-metrics': {
      // Most hosts have none.
      const { performSandboxOperation } = await import('./operations/sandbox/perform.ts');
      return performSandboxOperation(slot, operation);
    }
    default:
      return unreachable(operation);
  }
}

/** Does one operation. Never throws: an error would lose its code on the way to the other thread. */
export default async function handle(operation: Operation): Promise<Outcome<OperationKind>> {
  try {
    return { ok: true, reply: await perform(operation) };
  } catch (error) {
    return { ok: false, error: encodeError(error) };
  }
}
