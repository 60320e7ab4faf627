import path from 'node:path';
import { hasCode, TaskError } from '../../shared/errors/index.ts';
import { adminDefinition, containersDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import { type Namespace, parseTaskId } from '../../shared/identifiers.ts';
import { typeUrls, wireAny } from '../../shared/wire/any.ts';
import type { Daemon } from '../client/daemon.ts';
import { defineCommand } from '../command.ts';
import { keepRunning, removeEnded } from '../container/again.ts';
import { restartView } from '../container/restart-view.ts';
import { readSavedContainer, type SavedContainer } from '../container/saved-container.ts';
import { exitStatus } from '../exit-status.ts';
import { value } from '../option.ts';
import { parseLogFile } from '../parse.ts';

const timeout = 600_000;

export const restore = defineCommand({
  description:
    'Lets a task go on from where it was when its checkpoint was written, and prints its id. It runs in the background. ' +
    'Where its container is still there, the ended task is replaced; otherwise the container is made again as it was.',
  arguments: [{ name: '<directory>', summary: "directory of a 'shimd checkpoint'" }],
  options: {
    id: value('--id <id>', 'id of the container', parseTaskId, { default: 'that of the checkpoint' }),
    log: value('--log <file>', 'write the output to this file of the host', parseLogFile),
  },
  examples: [
    ['shimd restore /var/lib/checkpoints/web', 'goes on'],
    ['shimd restore --id web-2 /var/lib/checkpoints/web', 'a second one, from the same point'],
  ],
  json: false,

  async run(context, options, [target = '']) {
    const directory = path.resolve(target);
    const saved = await readSavedContainer(directory);
    const id = options.id ?? parseTaskId(saved.id);
    const daemon = await context.daemon();
    await restoreTask(daemon, context.namespace, { id, directory, saved, log: options.log });
    context.print(`${id}\n`);
    return exitStatus.ok;
  },
});

interface Restore {
  readonly id: string;
  readonly directory: string;
  readonly saved: SavedContainer;
  readonly log: string | undefined;
}

async function restoreTask(daemon: Daemon, namespace: Namespace, what: Restore): Promise<void> {
  const { id, directory, saved } = what;
  const isOurs = await makeContainer(daemon, namespace, what);
  try {
    const log = what.log ?? (isOurs ? undefined : await removeEnded(daemon, namespace, id));
    if (what.log !== undefined && !isOurs) await removeEnded(daemon, namespace, id);
    const stdout = log ?? (saved.terminal ? '/dev/null' : '');
    const stdio = { stdin: '', stdout, stderr: saved.terminal ? '' : stdout, terminal: saved.terminal };
    // With the start: a task that could not be restored is not left behind.
    await daemon.call(
      tasksDefinition.create,
      namespace,
      { containerId: id, ...stdio, checkpoint: { annotations: { RestoreFromPath: directory } } },
      { timeout },
    );
  } catch (error) {
    if (isOurs) await removeAll(daemon, namespace, id);
    throw error;
  }
  if (restartView(saved.labels) !== undefined) await keepRunning(daemon, namespace, id);
}

/** True where there was no such container before. */
async function makeContainer(daemon: Daemon, namespace: Namespace, { id, saved }: Restore): Promise<boolean> {
  const { runtime, labels } = saved;
  const spec = wireAny({ typeUrl: typeUrls.spec, value: Buffer.from(JSON.stringify(saved.spec)) });
  try {
    await daemon.call(containersDefinition.create, namespace, {
      container: { id, labels: { ...labels }, runtime: { name: runtime }, spec },
    });
    return true;
  } catch (error) {
    if (hasCode(error, 'ALREADY_EXISTS')) return false;
    throw error;
  }
}

async function removeAll(daemon: Daemon, namespace: Namespace, id: string): Promise<void> {
  try {
    await daemon
      .call(adminDefinition.deleteTask, namespace, { containerId: id, force: true })
      .catch((error: unknown) => {
        if (!hasCode(error, 'NOT_FOUND')) throw error;
      });
    await daemon.call(containersDefinition.delete, namespace, { id });
  } catch (error) {
    throw new TaskError('UNKNOWN', `${TaskError.from(error).message}; do it with 'shimd rm -f ${id}'`, {
      cause: error,
    });
  }
}
