import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { pack } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { tasksDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { checkpoint, fromDirectory, fromImage, criuPrograms as programs } from '../helpers/checkpoints.ts';
import { counter, numbersIn, untilCounted } from '../helpers/counter.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { FifoOutput, makeFifo } from '../helpers/fifo.ts';
import { combinations, criuDirectory, haveRuntimes, runc, slowCombinations } from '../helpers/runtimes.ts';
import {
  createContainer,
  createTask,
  deleteTask,
  getTask,
  killTask,
  launch,
  rootfs,
  Status,
  startTask,
  waitTask,
  withPts,
} from '../helpers/tasks.ts';
import { makeDirectory } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

const uri = (file: string): string => pathToFileURL(file).href;

describe.skipIf(!haveRuntimes || criuDirectory === undefined).each(slowCombinations)(
  'a checkpoint with $title',
  ({ generation, placement }) => {
    const start = () => Daemon.start({ generation, placement, programs });

    test('of a counter is restored after a restart of the daemon, and it goes on from where it was', async () => {
      await using daemon = await start();
      const log = path.join(makeDirectory(), 'log');
      const stdio = { stdout: uri(log), stderr: uri(log) };
      const image = path.join(makeDirectory(), 'image');
      await launch(daemon, 'counter', { args: counter, task: stdio });
      await untilCounted(log, 5);
      await checkpoint(daemon, 'counter', image, true);
      expect((await waitTask(daemon, 'counter')).status).toBe(137);
      const last = numbersIn(log).at(-1) ?? 0;
      await daemon.kill();
      await daemon.start();
      expect(await deleteTask(daemon, 'counter')).toBe(137);
      await createTask(daemon, 'counter', { ...stdio, options: fromImage(image) });
      const pid = await startTask(daemon, 'counter');
      expect(pid).toBeGreaterThan(0);
      await untilCounted(log, last + 5);
      const numbers = numbersIn(log);
      expect(numbers).toEqual(Array.from(numbers, (_, index) => index + 1));
      expect(await getTask(daemon, 'counter')).toMatchObject({ pid, status: Status.RUNNING });
      // It is a task like any other: a restart finds it, it ends with its status.
      await daemon.kill();
      await daemon.start();
      expect(await getTask(daemon, 'counter')).toMatchObject({ pid, status: Status.RUNNING });
      await killTask(daemon, 'counter');
      expect((await waitTask(daemon, 'counter')).status).toBe(137);
      expect(await deleteTask(daemon, 'counter')).toBe(137);
      expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
    });

    test('leaves the task running where it is not told to end it', async () => {
      await using daemon = await start();
      const log = path.join(makeDirectory(), 'log');
      const image = path.join(makeDirectory(), 'image');
      const pid = await launch(daemon, 'counter', { args: counter, task: { stdout: uri(log), stderr: uri(log) } });
      const before = await untilCounted(log, 3);
      await checkpoint(daemon, 'counter', image, false);
      expect(existsSync(path.join(image, 'inventory.img'))).toBe(true);
      await untilCounted(log, before + 5);
      expect(await getTask(daemon, 'counter')).toMatchObject({ pid, status: Status.RUNNING });
    });

    test('of a task with a terminal is restored with one', async () => {
      await using daemon = await start();
      const image = path.join(makeDirectory(), 'image');
      const [first, second] = [makeFifo(daemon.directory, 'first'), makeFifo(daemon.directory, 'second')];
      const outputs = [new FifoOutput(first), new FifoOutput(second)];
      const numbers = (output: FifoOutput | undefined) => (output?.text ?? '').split('\r\n').slice(0, -1).map(Number);
      try {
        const script = 'n=0; while :; do n=$((n+1)); echo $n; [ -t 1 ] || echo 1000000; sleep 0.1; done';
        const args = ['/bin/sh', '-c', script];
        const stdio = { terminal: true, stdout: first };
        await launch(daemon, 'counter', { args, terminal: true, ...withPts, task: stdio });
        await waitFor(() => numbers(outputs[0]).length >= 3);
        await checkpoint(daemon, 'counter', image, true);
        await waitTask(daemon, 'counter');
        await deleteTask(daemon, 'counter');
        const last = numbers(outputs[0]).at(-1) ?? 0;
        await createTask(daemon, 'counter', { terminal: true, stdout: second, options: fromImage(image) });
        await startTask(daemon, 'counter');
        await waitFor(() => numbers(outputs[1]).length >= 5);
        const [next = 0, ...later] = numbers(outputs[1]);
        // What the terminal had taken and nobody had read when it was frozen is gone.
        expect(next).toBeGreaterThan(last);
        expect(next).toBeLessThan(last + 3);
        expect(later).toEqual(later.map((_, index) => next + 1 + index));
      } finally {
        for (const output of outputs) output.close();
      }
    });

    test('that cannot be restored fails with the reason, and the task can be deleted', async () => {
      await using daemon = await start();
      const image = path.join(makeDirectory(), 'image');
      const log = path.join(makeDirectory(), 'log');
      await launch(daemon, 'counter', { args: counter, task: { stdout: uri(log), stderr: uri(log) } });
      await untilCounted(log, 3);
      await checkpoint(daemon, 'counter', image, true);
      await waitTask(daemon, 'counter');
      await deleteTask(daemon, 'counter');
      writeFileSync(path.join(image, 'pstree.img'), 'rubbish');
      await createTask(daemon, 'counter', { options: fromImage(image) });
      const failed = await failureOf(startTask(daemon, 'counter'));
      expect(failed.message).toMatch(/criu.*Error \(/s);
      expect(await deleteTask(daemon, 'counter')).toBe(0);
      expect((await failureOf(getTask(daemon, 'counter'))).code).toBe('NOT_FOUND');
      // In one call, nothing is left that would have to be deleted.
      const created = daemon.client.call(tasksDefinition.create, {
        containerId: 'counter',
        checkpoint: fromDirectory(image),
      });
      await failureOf(created);
      expect((await failureOf(getTask(daemon, 'counter'))).code).toBe('NOT_FOUND');
      expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
    });
  },
);

describe.skipIf(!haveRuntimes || criuDirectory === undefined)('a checkpoint', () => {
  const generation = combinations.at(-1)?.generation;
  const options = generation === undefined ? {} : { generation };

  test('of the command line sleeps and wakes up again, as often as one likes, and a service with it', async () => {
    await using daemon = await Daemon.start({ ...options, programs });
    const directory = makeDirectory();
    const [log, image] = [path.join(directory, 'log'), path.join(directory, 'image')];
    const args = [
      'run',
      '-d',
      '--id',
      'web',
      '--restart',
      'always',
      '--log',
      log,
      '--rootfs',
      rootfs,
      '--',
      ...counter,
    ];
    expect(await daemon.shimd(args)).toMatchObject({ code: 0, stderr: '' });
    await untilCounted(log, 5);
    expect(await daemon.shimd(['checkpoint', '--exit', 'web', image])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await getTask(daemon, 'web')).toMatchObject({ status: Status.STOPPED });
    const last = numbersIn(log).at(-1) ?? 0;
    expect(await daemon.shimd(['restore', image])).toEqual({ code: 0, stdout: 'web\n', stderr: '' });
    await untilCounted(log, last + 3);
    expect(await daemon.shimd(['rm', '-f', 'web'])).toMatchObject({ code: 0 });
    const before = numbersIn(log).at(-1) ?? 0;
    const second = path.join(directory, 'second');
    expect(await daemon.shimd(['restore', '--id', 'web-2', '--log', second, image])).toMatchObject({
      stdout: 'web-2\n',
    });
    await untilCounted(second, last + 3);
    expect(numbersIn(second)[0]).toBe(last + 1);
    expect(numbersIn(log).at(-1)).toBe(before);
    const used = await daemon.shimd(['checkpoint', 'web-2', image]);
    expect(used).toMatchObject({ code: 1, stderr: expect.stringContaining('not empty') });
    await daemon.shimd(['rm', '-f', 'web-2']);
    expect(await daemon.settled({ sharedShims: true })).toEqual(nothingLeft);
  });

  test('brings the changes of its root file system with it, and nothing outside of that', async () => {
    await using daemon = await Daemon.start({ ...options, programs });
    const directory = makeDirectory();
    const own = path.join(directory, 'rootfs');
    cpSync(rootfs, own, { recursive: true, verbatimSymlinks: true });
    const [log, image] = [path.join(directory, 'log'), path.join(directory, 'checkpoint')];
    const stdio = { stdout: uri(log), stderr: uri(log) };
    await launch(daemon, 'counter', { args: counter, rootfs: own, task: stdio });
    await untilCounted(log, 3);
    await checkpoint(daemon, 'counter', image, true);
    await waitTask(daemon, 'counter');
    await deleteTask(daemon, 'counter');
    const write = async (name: string) => {
      const tar = pack();
      tar.entry({ name, uid: 0, gid: 0 }, 'changed');
      tar.finalize();
      writeFileSync(path.join(directory, 'rootfs-diff.tar'), await buffer(tar));
    };
    mkdirSync(path.join(directory, 'outside'));
    symlinkSync('../outside', path.join(own, 'out'));
    const restore = () =>
      daemon.client.call(tasksDefinition.create, {
        containerId: 'counter',
        ...stdio,
        checkpoint: fromDirectory(image),
      });
    await write('out/file');
    expect(await failureOf(restore())).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(existsSync(path.join(directory, 'outside/file'))).toBe(false);
    expect((await failureOf(getTask(daemon, 'counter'))).code).toBe('NOT_FOUND');
    await write('etc-file');
    const { pid } = await restore();
    expect(pid).toBeGreaterThan(0);
    expect(readFileSync(path.join(own, 'etc-file'), 'utf8')).toBe('changed');
    expect(await getTask(daemon, 'counter')).toMatchObject({ pid, status: Status.RUNNING });
  });

  test('by ctr goes to the image path that it names', async () => {
    if (generation === undefined) return;
    await using daemon = await Daemon.start({ ...options, programs });
    const image = path.join(makeDirectory(), 'image');
    await launch(daemon, 'sleeper');
    expect(
      await daemon.ctr(generation, ['tasks', 'checkpoint', '--exit', '--image-path', image, 'sleeper']),
    ).toMatchObject({
      code: 0,
    });
    expect(existsSync(path.join(image, 'inventory.img'))).toBe(true);
    await waitFor(async () => (await getTask(daemon, 'sleeper')).status === Status.STOPPED);
  });

  test('without criu says what is missing', async () => {
    await using daemon = await Daemon.start({ ...options, env: { PATH: programsWithoutCriu() } });
    await launch(daemon, 'sleeper');
    const failed = await failureOf(checkpoint(daemon, 'sleeper', path.join(makeDirectory(), 'image'), false));
    expect(failed).toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('install criu') });
    expect(await getTask(daemon, 'sleeper')).toMatchObject({ status: Status.RUNNING });
  });

  test('to or from a path that is none is refused before the shim sees it', async () => {
    await using daemon = await Daemon.start({ ...options, programs });
    await createContainer(daemon, 'sleeper');
    const relative = createTask(daemon, 'sleeper', { options: fromImage('image') });
    expect((await failureOf(relative)).code).toBe('INVALID_ARGUMENT');
    await createTask(daemon, 'sleeper');
    await startTask(daemon, 'sleeper');
    expect((await failureOf(checkpoint(daemon, 'sleeper', '../image', false))).code).toBe('INVALID_ARGUMENT');
    expect((await failureOf(checkpoint(daemon, 'sleeper', '', false))).code).toBe('UNIMPLEMENTED');
  });

  function programsWithoutCriu(): string {
    const shim = generation === undefined ? [] : [path.dirname(generation.shim)];
    return [...shim, path.dirname(runc), '/usr/bin', '/bin'].join(path.delimiter);
  }
});
