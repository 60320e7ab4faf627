import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { containersDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import { type Namespace, parseTaskId } from '../../shared/identifiers.ts';
import { containerd } from '../../shared/proto/gen/task.js';
import { restartLabels } from '../../shared/restart-labels.ts';
import { typeUrls, wireAny } from '../../shared/wire/any.ts';
import type { Daemon } from '../client/daemon.ts';
import { defineCommand } from '../command.ts';
import { parseSpec } from '../container/parse-spec.ts';
import { restartView } from '../container/restart-view.ts';
import { saveContainer } from '../container/saved-container.ts';
import { taskView } from '../container/task-view.ts';
import { exitStatus } from '../exit-status.ts';
import { UsageError } from '../failure.ts';
import { flag } from '../option.ts';

/** All memory is written to a disk. */
const timeout = 600_000;

export const checkpoint = defineCommand({
  description:
    'Writes the state of a running task to a directory, from which it can be restored: all of its processes and their ' +
    'memory. The task runs on unless --exit is given. It takes criu on the PATH of the daemon. Files are not part of it: the ' +
    'root file system has to be the same when it is restored.',
  arguments: [
    { name: '<id>', summary: 'id of the container' },
    { name: '<directory>', summary: 'where to; it is made, or has to be empty' },
  ],
  options: {
    exit: flag('--exit', 'end the task once it is written; a service stays ended'),
    tcp: flag('--tcp', 'open TCP connections too'),
    unix: flag('--unix-sockets', 'connections to unix sockets of other programs too'),
    locks: flag('--file-locks', 'file locks too'),
  },
  examples: [
    ['shimd checkpoint --exit web /var/lib/checkpoints/web', 'puts a service to sleep'],
    ['shimd restore /var/lib/checkpoints/web', 'and wakes it up'],
  ],
  json: false,

  async run(context, options, [id = '', target = '']) {
    if (target === '') throw new UsageError('no directory given; name it after the id');
    const task = parseTaskId(id);
    const directory = path.resolve(target);
    const daemon = await context.daemon();
    const { container } = await daemon.call(containersDefinition.get, context.namespace, { id: task });
    const { process } = await daemon.call(tasksDefinition.get, context.namespace, { containerId: task });
    await prepare(directory);
    const { exit, tcp, unix, locks } = options;
    const value = containerd.runc.v1.CheckpointOptions.encode({
      exit,
      openTcp: tcp,
      externalUnixSockets: unix,
      fileLocks: locks,
      imagePath: directory,
    }).finish();
    await daemon.call(
      tasksDefinition.checkpoint,
      context.namespace,
      { containerId: task, options: wireAny({ typeUrl: typeUrls.runcCheckpointOptions, value }) },
      { timeout },
    );
    await saveContainer(directory, {
      id: task,
      runtime: container?.runtime?.name ?? '',
      labels: container?.labels ?? {},
      spec: parseSpec(Buffer.from(container?.spec?.value ?? []).toString(), `the spec of container ${task}`),
      terminal: process ? taskView(process).terminal : false,
    });
    if (exit) await daemon.call(tasksDefinition.wait, context.namespace, { containerId: task });
    if (exit && restartView(container?.labels) !== undefined) await keepEnded(daemon, context.namespace, task);
    return exitStatus.ok;
  },
});

async function prepare(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if ((await readdir(directory)).length > 0) throw new Error(`${directory} is not empty; choose another directory`);
}

/** Asleep is what it shall be: its restart policy would start it from the beginning. */
async function keepEnded(daemon: Daemon, namespace: Namespace, id: string): Promise<void> {
  await daemon.call(containersDefinition.update, namespace, {
    container: { id, labels: { [restartLabels.status]: 'stopped' } },
    updateMask: { paths: [`labels.${restartLabels.status}`] },
  });
}
