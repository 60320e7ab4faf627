import {
  appendFileSync,
  closeSync,
  constants,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runtimeName } from '../../src/process-shim/about.ts';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { mkfifo } from '../../src/shared/host/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../helpers/fixture-shims.ts';
import { generations } from '../helpers/runtimes.ts';
import { embeddedRuntime } from '../helpers/task-runtimes.ts';
import { createTask, deleteContainer, deleteTask, endTask, killTask, launch, waitTask } from '../helpers/tasks.ts';
import { uniqueName } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

const newest = generations.at(-1);
const runtime = fixtureRuntime('plain');

describe('the log of a shim', () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await Daemon.start({
      programs: [fixtureShims],
      config: `[placement]\nidle_grace = "1s"\n[shim]\nheartbeat = "500ms"\n[deadlines]\nstate = "1s"\n`,
    });
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  const logOf = (id: string): string => path.join(daemon.state, daemon.namespace, id, 'log');

  /** A task in a shim of its own, which writes nothing to its log. */
  const quiet = async (): Promise<string> => {
    const id = uniqueName('c');
    await launch(daemon, id, { runtime });
    return id;
  };

  test('is printed by the id of its only task, all of it or its last lines, as text or as data', async () => {
    const id = await quiet();
    expect(await daemon.shimd(['logs', id])).toEqual({ code: 0, stdout: '', stderr: '' });
    appendFileSync(logOf(id), 'level=info msg="one"\n\tat two\nthree \u001B[31mred\n');
    expect(await daemon.shimd(['logs', id])).toEqual({
      code: 0,
      stdout: 'level=info msg="one"\n\tat two\nthree \\u001b[31mred\n',
      stderr: '',
    });
    expect((await daemon.shimd(['logs', '--tail', '2', id])).stdout).toBe('\tat two\nthree \\u001b[31mred\n');
    expect((await daemon.shimd(['logs', '--tail', '0', id])).stdout).toBe('');
    expect((await daemon.shimd(['logs', '--bytes', '4', id])).stdout).toBe('red\n');
    const { stdout } = await daemon.shimd(['logs', '--json', '--tail', '1', id]);
    expect(JSON.parse(stdout)).toEqual({ namespace: daemon.namespace, shim: id, line: 'three \u001B[31mred' });
    await endTask(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('is that of all its tasks where they share it, by the id of any of them or its own', async () => {
    const ids = [uniqueName('c'), uniqueName('c')];
    for (const id of ids) {
      await embeddedRuntime.createContainer(daemon, id, ['sleep', '3600']);
      await createTask(daemon, id);
    }
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    const [shared] = shims.filter(
      ({ namespace, placement }) => namespace === daemon.namespace && placement === 'shared',
    );
    const texts = await Promise.all([...ids, shared?.id ?? ''].map((id) => daemon.shimd(['logs', id])));
    const [text] = texts;
    expect(text).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('"shim serves"') });
    expect(text?.stdout).toContain(runtimeName);
    expect(new Set(texts.map(({ stdout }) => stdout)).size).toBe(1);
    for (const id of ids) {
      await killTask(daemon, id);
      await waitTask(daemon, id);
      await deleteTask(daemon, id);
      await deleteContainer(daemon, id);
    }
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('is there after a restart of the daemon, also of a shim that does not answer', async () => {
    const id = await quiet();
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    const pid = shims.find((shim) => shim.id === id)?.pid ?? 0;
    appendFileSync(logOf(id), 'before\n');
    await daemon.kill();
    process.kill(pid, 'SIGSTOP');
    try {
      await daemon.start();
      appendFileSync(logOf(id), 'after\n');
      expect(await daemon.shimd(['logs', id])).toEqual({ code: 0, stdout: 'before\nafter\n', stderr: '' });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await waitFor(() => killTask(daemon, id, 18).then(() => true), { doing: 'the shim to be adopted' });
    expect((await daemon.shimd(['logs', id])).stdout).toBe('before\nafter\n');
    await endTask(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('is followed over the loss of its thread, to the last words that it has before it goes', async () => {
    const id = await quiet();
    appendFileSync(logOf(id), 'old\nnewer\n');
    const following = daemon.startShimd(['logs', '-f', '--tail', '1', id]);
    await waitFor(() => following.stdout === 'newer\n', { doing: 'the tail' });
    appendFileSync(logOf(id), 'live\n');
    await waitFor(() => following.stdout === 'newer\nlive\n', { doing: 'a line' });
    for (const slot of [0, 1]) await daemon.client.call(adminDefinition.restartSlot, { id: slot });
    appendFileSync(logOf(id), 'over\n');
    await waitFor(() => following.stdout.endsWith('over\n'), { doing: 'a line of the next thread' });
    await killTask(daemon, id);
    await waitTask(daemon, id);
    appendFileSync(logOf(id), 'last words');
    await deleteTask(daemon, id);
    expect(await following.finished).toMatchObject({ code: 0, stdout: 'newer\nlive\nover\nlast words\n', stderr: '' });
    await deleteContainer(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('is followed until an interrupt', async () => {
    const id = await quiet();
    const following = daemon.startShimd(['logs', '-f', id]);
    appendFileSync(logOf(id), 'x\n');
    await waitFor(() => following.stdout === 'x\n');
    following.child.kill('SIGINT');
    expect(await following.finished).toMatchObject({ code: 0, stderr: '' });
    await endTask(daemon, id);
  });

  test('is not that of an id which nobody has, of another namespace, of none, or of a task whose shim is gone', async () => {
    const unknown = await daemon.shimd(['logs', 'nobody']);
    expect(unknown).toMatchObject({ code: 1, stdout: '' });
    expect(unknown.stderr).toContain('no task and no shim "nobody" in namespace');
    const id = await quiet();
    const read = (name: string, namespace = daemon.namespace) =>
      failureOf(daemon.client.stream(adminDefinition.shimLog, { id: name }, { namespace }).ended);
    expect(await read(id, 'elsewhere')).toMatchObject({ code: 'NOT_FOUND' });
    expect(await read(id, '')).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await read('../x')).toMatchObject({ code: 'INVALID_ARGUMENT' });
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    process.kill(shims.find((shim) => shim.id === id)?.pid ?? 0, 'SIGKILL');
    expect(await waitTask(daemon, id)).toEqual({ status: 137 });
    expect(await read(id)).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('is gone') });
    await deleteTask(daemon, id);
    await deleteContainer(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('is refused, and followed or waited for by nobody, where something else was put in its place', async () => {
    const id = await quiet();
    const file = logOf(id);
    const read = () => failureOf(daemon.client.stream(adminDefinition.shimLog, { id }, { budget: 10_000 }).ended);
    rmSync(file);
    expect(await read()).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('keeps no log') });

    mkfifo(file, 0o600);
    // A reader that came and went would end who writes to it.
    const held = openSync(file, constants.O_RDWR | constants.O_NONBLOCK);
    expect(await read()).toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('FIFO') });
    closeSync(held);
    expect(await read()).toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('FIFO') });
    // More than the threads that open files could be parked with; the heartbeat looks at the log too.
    expect(await Promise.all(Array.from({ length: 8 }, read))).toHaveLength(8);

    rmSync(file);
    const secret = path.join(daemon.directory, 'secret');
    writeFileSync(secret, 'secret\n');
    symlinkSync(secret, file);
    expect(await read()).toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('a link') });
    expect(readFileSync(secret, 'utf8')).toBe('secret\n');
    await endTask(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  test('costs little memory where its reader is slow, who is told what it missed', async () => {
    const id = await quiet();
    const memory = () =>
      Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]) / 1024;
    const following = daemon.startShimd(['logs', '-f', id]);
    appendFileSync(logOf(id), 'first\n');
    await waitFor(() => following.stdout === 'first\n');
    following.child.kill('SIGSTOP');
    const before = memory();
    const megabyte = `${'x'.repeat(1023)}\n`.repeat(1024);
    for (let written = 0; written < 100; written += 1) appendFileSync(logOf(id), megabyte);
    await waitFor(() => daemon.log.some((line) => line['message'] === 'shim log shortened' && line['shim'] === id));
    appendFileSync(logOf(id), 'end\n');
    const during = memory();
    console.log(
      `memory: ${Math.round(before)} MB before, ${Math.round(during)} MB with a reader that is 100 MB behind`,
    );
    expect(during - before).toBeLessThan(20);
    following.child.kill('SIGCONT');
    await waitFor(() => following.stdout.endsWith('end\n'), { doing: 'the end of the log' });
    following.child.kill('SIGINT');
    expect((await following.finished).stderr).toContain('is not kept any more');
    expect(following.stdout.length).toBeLessThan(10 << 20);
    await endTask(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  }, 120_000);

  test('has so many readers at once and no more, and others again when they leave', async () => {
    const id = await quiet();
    const follow = () => daemon.client.stream(adminDefinition.shimLog, { id, follow: true });
    const readers = Array.from({ length: 64 }, follow);
    appendFileSync(logOf(id), 'x\n');
    await waitFor(() => readers.every(({ messages }) => messages.length === 1));
    expect(await failureOf(follow().ended)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    for (const reader of readers) reader.cancel();
    await waitFor(async () => (await daemon.shimd(['logs', id])).code === 0);
    await endTask(daemon, id);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});

describe.skipIf(newest === undefined).each(['per-task', 'shared'] as const)(
  'the log of a real runc shim, %s,',
  (placement) => {
    test('is printed, and the output of the task is not in it', async () => {
      if (newest === undefined) return;
      await using daemon = await Daemon.start({ generation: newest, placement, config: '[shim]\ndebug = true\n' });
      const id = uniqueName('c');
      const file = path.join(daemon.directory, 'output');
      await launch(daemon, id, {
        args: ['sh', '-c', 'echo said; sleep 3600'],
        task: { stdout: `file://${file}`, stderr: `file://${file}` },
      });
      await waitFor(() => readFileSync(file, 'utf8') === 'said\n');
      const { code, stdout } = await daemon.shimd(['logs', id]);
      expect(code).toBe(0);
      expect(stdout).toMatch(/level=debug/);
      expect(stdout).not.toContain('said');
    });
  },
);
