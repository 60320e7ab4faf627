import { tasksDefinition } from '../../src/shared/grpc/index.ts';
import { containerd } from '../../src/shared/proto/gen/task.js';
import { typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import type { Daemon } from './daemon.ts';
import { criuDirectory } from './runtimes.ts';
import type { WireAny } from './spec.ts';

const { CheckpointOptions, Options } = containerd.runc.v1;

/** For `DaemonOptions.programs`: a criu that works here, where there is one. */
export const criuPrograms: readonly string[] = criuDirectory === undefined ? [] : [criuDirectory];

/** Has a task written to `directory`, and ended where `exit` says so. */
export async function checkpoint(daemon: Daemon, id: string, directory: string, exit: boolean): Promise<void> {
  const value = CheckpointOptions.encode({ imagePath: directory, exit }).finish();
  await daemon.client.call(tasksDefinition.checkpoint, {
    containerId: id,
    options: wireAny({ typeUrl: typeUrls.runcCheckpointOptions, value }),
  });
}

/** What a create is given to restore from `directory`, as containerd's Go client says it. */
export function fromImage(directory: string): WireAny {
  return wireAny({ typeUrl: typeUrls.runcOptions, value: Options.encode({ criuImagePath: directory }).finish() });
}

/** The same as containerd's CRI service says it. */
export function fromDirectory(directory: string): { annotations: { RestoreFromPath: string } } {
  return { annotations: { RestoreFromPath: directory } };
}
