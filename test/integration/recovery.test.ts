import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../helpers/fixture-shims.ts';
import { isAlive } from '../helpers/leftovers.ts';
import {
  createContainer,
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  getTask,
  killTask,
  launch,
  listTasks,
  Status,
  startTask,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';

const runtime = fixtureRuntime('plain');

describe('a daemon that is started again', () => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  const start = async (): Promise<void> => {
    daemon = await Daemon.start({ programs: [fixtureShims] });
  };
  const bundleOf = (id: string): string => path.join(daemon.state, daemon.namespace, id);
  const logged = (message: string, id: string): boolean =>
    daemon.log.some((line) => line['message'] === message && line['task'] === id);

  test('takes over a task whose bundle has the address of its shim and nothing of ours', async () => {
    await start();
    const pid = await launch(daemon, 'older', { runtime });
    await daemon.kill();
    const bundle = bundleOf('older');
    const { address } = JSON.parse(readFileSync(path.join(bundle, 'bootstrap.json'), 'utf8')) as { address: string };
    for (const name of ['bootstrap.json', 'shim-binary-path', 'shim.json', 'task.json', 'processes.jsonl']) {
      rmSync(path.join(bundle, name));
    }
    writeFileSync(path.join(bundle, 'address'), address);
    await daemon.start();
    expect(await getTask(daemon, 'older')).toMatchObject({ pid, status: Status.RUNNING });
    expect(readFileSync(path.join(bundle, 'shim-binary-path'), 'utf8')).toMatch(/\/containerd-shim-plain-v1$/);
    // From then on it is like all others.
    await daemon.kill();
    await daemon.start();
    expect(await getTask(daemon, 'older')).toMatchObject({ pid, status: Status.RUNNING });
    const ended = waitTask(daemon, 'older');
    await killTask(daemon, 'older');
    expect(await ended).toEqual({ status: 137 });
    expect(await deleteTask(daemon, 'older')).toBe(137);
    await deleteContainer(daemon, 'older');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('takes over a task whose record is damaged, from its shim', async () => {
    await start();
    const pid = await launch(daemon, 'damaged', { runtime });
    await daemon.kill();
    writeFileSync(path.join(bundleOf('damaged'), 'task.json'), '{"namespace":');
    await daemon.start();
    expect(await getTask(daemon, 'damaged')).toMatchObject({ pid, status: Status.RUNNING });
    await endTask(daemon, 'damaged');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('logs a bad bundle and a directory that is none, touches neither, and serves the rest', async () => {
    await start();
    const pid = await launch(daemon, 'sound', { runtime });
    await daemon.kill();
    const [bad, foreign, half] = ['bad', 'foreign', 'half'].map(bundleOf) as [string, string, string];
    for (const directory of [bad, foreign, half]) mkdirSync(directory);
    writeFileSync(path.join(bad, 'task.json'), 'no record');
    writeFileSync(path.join(bad, 'keep'), '');
    writeFileSync(path.join(foreign, 'diary.txt'), 'Tuesday');
    writeFileSync(path.join(half, 'config.json'), '{}');
    mkdirSync(path.join(half, 'rootfs'));
    await daemon.start();
    expect((await listTasks(daemon)).map(({ id }) => id)).toEqual(['sound']);
    expect(await getTask(daemon, 'sound')).toMatchObject({ pid, status: Status.RUNNING });
    expect(readdirSync(bad).toSorted()).toEqual(['keep', 'task.json']);
    expect(readFileSync(path.join(foreign, 'diary.txt'), 'utf8')).toBe('Tuesday');
    expect(existsSync(half)).toBe(false);
    expect(logged('not recovered', 'bad')).toBe(true);
    expect(logged('foreign directory left alone', 'foreign')).toBe(true);
    for (const directory of [bad, foreign]) rmSync(directory, { recursive: true });
    await endTask(daemon, 'sound');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  /** What a boot does: every process is gone, and so is what was in the state directory. */
  async function reboot(pids: readonly number[]): Promise<void> {
    await daemon.kill();
    const shims = readdirSync(path.join(daemon.state, daemon.namespace)).flatMap((id) => {
      const file = path.join(bundleOf(id), 'shim.json');
      return existsSync(file) ? [(JSON.parse(readFileSync(file, 'utf8')) as { pid: number }).pid] : [];
    });
    for (const pid of [...shims, ...pids.filter(isAlive)]) process.kill(pid, 'SIGKILL');
    await waitFor(() => ![...shims, ...pids].some(isAlive), { doing: 'everything to end' });
    for (const socket of daemon.shimSockets()) rmSync(socket, { force: true });
    rmSync(daemon.state, { recursive: true });
    // A boot has an id; that of the last one was written down when the daemon was started.
    const marker = path.join(daemon.root, '.metadata/exits.boot');
    writeFileSync(marker, readFileSync(marker, 'utf8').replace(/^\S+/, '00000000-0000-4000-8000-000000000000'));
  }

  test('after a boot knows that its tasks are gone, removes what they left, and their ids work again', async () => {
    await start();
    const pids = [];
    for (const id of ['one', 'two', 'three']) pids.push(await launch(daemon, id, { runtime }));
    await reboot(pids);
    await daemon.start();
    const tasks = await listTasks(daemon);
    expect(new Set(tasks.map(({ id }) => id))).toEqual(new Set(['one', 'two', 'three']));
    // Nobody can know how they ended; at the boot at the latest.
    for (const task of tasks) expect(task).toMatchObject({ status: Status.STOPPED, exitStatus: 255 });
    expect(await waitTask(daemon, 'one')).toEqual({ status: 255 });
    expect(await deleteTask(daemon, 'one')).toBe(255);
    expect(await failureOf(deleteTask(daemon, 'one'))).toMatchObject({ code: 'NOT_FOUND' });
    await waitFor(() => daemon.bundles().length === 0, { doing: 'the work directories to be removed' });
    // The next start tells the same of those that nobody deleted.
    await daemon.kill();
    await daemon.start();
    expect(await getTask(daemon, 'two')).toMatchObject({ status: Status.STOPPED, exitStatus: 255 });
    await expect(daemon.client.call(tasksDefinition.get, { containerId: 'one' })).rejects.toThrow(/not found/);
    // There is nothing to delete, so nobody has to.
    await createTask(daemon, 'two');
    await startTask(daemon, 'two');
    await endTask(daemon, 'two');
    await deleteTask(daemon, 'three');
    for (const id of ['one', 'three']) await deleteContainer(daemon, id);
    await createContainer(daemon, 'one', { runtime });
    await createTask(daemon, 'one');
    await startTask(daemon, 'one');
    await endTask(daemon, 'one');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});

test.each([0, 1])('what the thread of slot %i left half removed is removed by the one after it', async (id) => {
  await using daemon = await Daemon.start();
  const namespace = path.join(daemon.state, daemon.namespace);
  const left = ['.removed-task-x1', '.shims/.removed-shim-x2', '.sandboxes/.removed-sandbox-x3'];
  for (const name of left) mkdirSync(path.join(namespace, name, 'rootfs'), { recursive: true });
  await daemon.client.call(adminDefinition.restartSlot, { id });
  await waitFor(() => left.every((name) => !existsSync(path.join(namespace, name))), { doing: 'them to be removed' });
  expect(await daemon.settled()).toEqual(nothingLeft);
});
