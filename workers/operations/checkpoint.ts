import path from 'node:path';
import type { CheckpointOperation } from '../../src/shared/messages/index.ts';
import { containerd } from '../../src/shared/proto/gen/task.js';
import { until } from '../../src/shared/util/deadline.ts';
import { type Any, typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import { explainCriu } from '../shim/criu-log.ts';
import type { WorkerSlot } from '../slot.ts';
import type { Task } from '../task.ts';

const { CheckpointOptions } = containerd.runc.v1;

/** criu takes a terminal only where it is told that there is one; serialized messages merge when joined. */
function checkpointOptions(options: Any | undefined, terminal: boolean): Any | undefined {
  if (!terminal) return options;
  const told = CheckpointOptions.encode({ terminal: true }).finish();
  return options === undefined
    ? { typeUrl: typeUrls.runcCheckpointOptions, value: told }
    : { typeUrl: options.typeUrl, value: Buffer.concat([options.value, told]) };
}

async function write(task: Task, operation: CheckpointOperation): Promise<{ written: true }> {
  const options = checkpointOptions(operation.options, task.processes.get(undefined)?.stdio.terminal === true);
  const request = { id: operation.task, path: operation.path, ...(options ? { options: wireAny(options) } : {}) };
  try {
    await task.shim.client.call((api) => api.checkpoint, request);
    return { written: true };
  } catch (error) {
    const doing = `checkpointing task ${operation.task}`;
    throw await explainCriu(error, doing, [path.join(task.bundle, 'criu-dump.log')]);
  }
}

/**
 * Writes a checkpoint of a task to a directory. It goes on without its caller: a deadline sent to the shim, or a call that is
 * given up, would kill the runtime in its middle and leave the task frozen.
 */
export async function checkpointTask(slot: WorkerSlot, operation: CheckpointOperation): Promise<{ written: true }> {
  const task = slot.task(operation);
  const whole = write(task, operation);
  return until(whole, { deadline: operation.deadline, doing: `checkpointing task ${operation.task}` });
}
