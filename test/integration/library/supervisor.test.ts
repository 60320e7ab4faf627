import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import type { LogLine, TaskEvent } from '../../../src/index.ts';
import { isAlive, processesNaming } from '../../helpers/leftovers.ts';
import { Program } from '../../helpers/program.ts';
import { makeDirectory } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { libraryUrl, Supervisor } from './library.ts';

const sleeper = ['sleep', '1000'];

async function first<T>(items: AsyncIterable<T>, wanted: (item: T) => boolean): Promise<T[]> {
  const seen: T[] = [];
  for await (const item of items) {
    seen.push(item);
    if (wanted(item)) break;
  }
  return seen;
}

test('a task is created, started, waited for and deleted, with its input, its outputs and its status', async () => {
  await using supervisor = await Supervisor.open();
  const script = 'read word; echo "got $word"; echo oh >&2; exit 7';
  const task = await supervisor.create({ id: 'a', args: ['sh', '-c', script], stdin: 'pipe', output: 'pipe' });
  expect(await supervisor.list()).toMatchObject([{ id: 'a', status: 'created', pid: task.pid }]);
  expect(await supervisor.start('a')).toEqual({ pid: task.pid });
  task.stdin.end('hello\n');
  const exit = await supervisor.wait('a');
  expect(exit).toMatchObject({ pid: task.pid, status: 7 });
  expect(Math.abs(exit.exitedAt.getTime() - Date.now())).toBeLessThan(10_000);
  expect(await Promise.all([text(task.stdout), text(task.stderr)])).toEqual(['got hello\n', 'oh\n']);
  expect(await supervisor.get('a')).toMatchObject({ status: 'stopped', exit, runtime: 'io.shimd.process.v1' });
  expect(await supervisor.delete('a')).toEqual(exit);
  expect(await supervisor.list()).toEqual([]);
});

test('an exec runs beside its task, reads to the end of its input, and has a status of its own', async () => {
  await using supervisor = await Supervisor.open();
  await supervisor.create({ id: 'a', args: sleeper, env: { WORD: 'task' } });
  await supervisor.start('a');
  const args = ['sh', '-c', 'cat; echo $WORD; exit 4'];
  const exec = await supervisor.exec('a', { id: 'e', args, stdin: 'pipe', output: 'pipe' });
  exec.stdin.end('piped ');
  expect(await text(exec.stdout)).toBe('piped task\n');
  expect(await supervisor.wait('a', { exec: 'e' })).toMatchObject({ pid: exec.pid, status: 4 });
  expect(await supervisor.delete('a', { exec: 'e' })).toMatchObject({ status: 4 });
  const failed = supervisor.exec('a', { id: 'f', args: ['/nonexistent'] });
  await expect(failed).rejects.toMatchObject({ message: expect.stringContaining('/nonexistent') });
  await supervisor.kill('a', 'SIGKILL');
  expect(await supervisor.wait('a')).toMatchObject({ status: 137 });
});

test('pipes that nobody uses go with their process', async () => {
  await using supervisor = await Supervisor.open();
  const run = async (id: string) => {
    const task = await supervisor.create({ id, args: ['echo', 'unread'], stdin: 'pipe', output: 'pipe' });
    await supervisor.start(id);
    await supervisor.wait(id);
    await supervisor.delete(id);
    return task;
  };
  await run('first');
  const before = readdirSync('/proc/self/fd').length;
  const tasks = await Promise.all(Array.from({ length: 10 }, (_, index) => run(`task-${index}`)));
  await waitFor(() => readdirSync('/proc/self/fd').length <= before, { doing: 'the pipes to be closed' });
  expect(tasks.map(({ stdin, stdout }) => [stdin.destroyed, stdout.destroyed]).flat()).not.toContain(false);
});

test('closing while a task is created leaves nothing of it', async () => {
  const lines: LogLine[] = [];
  const supervisor = await Supervisor.open({ log: (line) => lines.push(line), logLevel: 'debug' });
  const created = supervisor.create({ id: 'a', args: sleeper });
  await supervisor.close();
  const { pid } = await created;
  expect(isAlive(pid)).toBe(false);
  expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
});

test('output goes to a file', async () => {
  const file = path.join(makeDirectory(), 'out put');
  await using supervisor = await Supervisor.open();
  await supervisor.create({ id: 'a', args: ['sh', '-c', 'echo out; echo err >&2'], output: { file } });
  await supervisor.start('a');
  await supervisor.wait('a');
  expect(readFileSync(file, 'utf8')).toBe('out\nerr\n');
});

test('events come in order, once each, and again from a cursor', async () => {
  await using supervisor = await Supervisor.open();
  const since = supervisor.cursor;
  const live = first(supervisor.events(), (event) => event.type === 'delete');
  await supervisor.create({ id: 'a', args: ['sh', '-c', 'exit 3'] });
  await supervisor.start('a');
  await supervisor.wait('a');
  await supervisor.delete('a');
  const events = await live;
  expect(events.map((event) => event.type)).toEqual(['create', 'start', 'exit', 'delete']);
  expect(events[2]).toMatchObject({ task: 'a', status: 3, topic: '/tasks/exit' });
  const again = (cursor: number) => first(supervisor.events({ since: cursor }), (event) => event.type === 'delete');
  expect(await again(since)).toEqual(events);
  const [, second] = events as [TaskEvent, TaskEvent];
  expect(await again(second.cursor)).toEqual(events.slice(2));
  expect(() => supervisor.events({ since: since - 1 })).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
  const never = supervisor.cursor + 1;
  expect(() => supervisor.events({ since: never })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
});

test('what cannot be is refused with a code and a reason, and leaves nothing', async () => {
  await using supervisor = await Supervisor.open();
  const fails = (call: Promise<unknown>, code: string, message: RegExp) =>
    expect(call).rejects.toMatchObject({ name: 'TaskError', code, message: expect.stringMatching(message) });
  await fails(supervisor.start('a'), 'NOT_FOUND', /a not found/);
  await fails(supervisor.create({ id: '../a', args: ['true'] }), 'INVALID_ARGUMENT', /identifier/);
  await fails(supervisor.create({ id: 'a', args: ['true'], limits: { memory: 1 } }), 'INVALID_ARGUMENT', /isolates/);
  await fails(supervisor.create({ id: 'a', args: ['true'], runtime: 'io.none.v9' }), 'UNKNOWN', /not installed/);
  await supervisor.create({ id: 'a', args: sleeper });
  await fails(supervisor.create({ id: 'a', args: sleeper }), 'ALREADY_EXISTS', /already exists/);
  await supervisor.start('a');
  await fails(supervisor.delete('a'), 'FAILED_PRECONDITION', /a/);
  await fails(supervisor.kill('a', 'SIGNOPE' as 'SIGTERM'), 'INVALID_ARGUMENT', /SIGNOPE/);
  await fails(supervisor.wait('a', { timeout: 20 }), 'DEADLINE_EXCEEDED', /20 ms|19 ms/);
  await fails(supervisor.wait('a', { signal: AbortSignal.abort() }), 'CANCELLED', /gave up/);
  expect(await supervisor.delete('a', { force: true })).toMatchObject({ status: 137 });
});

test('a directory has one supervisor, in the same program too, and is free again once that is closed', async () => {
  const directory = makeDirectory();
  const first = await Supervisor.open({ directory });
  await expect(Supervisor.open({ directory })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining(`in use by the daemon with pid ${process.pid}`),
  });
  // The one that was refused has taken nothing from the other.
  await first.create({ id: 'a', args: ['true'] });
  await first.delete('a', { force: true });
  await first[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  await using second = await Supervisor.open({ directory });
  expect(await second.list()).toEqual([]);
});

test('closing ends the tasks of a temporary supervisor, its waits and its events, and leaves nothing', async () => {
  const supervisor = await Supervisor.open();
  const task = await supervisor.create({ id: 'a', args: sleeper, output: 'pipe' });
  await supervisor.start('a');
  const { bundle } = await supervisor.get('a');
  const home = path.resolve(bundle, '../../..');
  expect(processesNaming(home)).not.toEqual([]);
  const next = supervisor.events().next();
  await Promise.all([supervisor.close(), supervisor.close()]);
  expect(isAlive(task.pid)).toBe(false);
  expect(processesNaming(home)).toEqual([]);
  expect(existsSync(home)).toBe(false);
  await expect(next).resolves.toMatchObject({ value: { type: 'exit', status: 137 } });
  await expect(supervisor.list()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(task.stdout.destroyed).toBe(true);
});

test('tasks in a directory run on when their supervisor closes, and the next one has them and what became of them', async () => {
  const directory = makeDirectory();
  const fifo = path.join(directory, 'ended');
  const before = await Supervisor.open({ directory });
  const { pid } = await before.create({ id: 'runs', args: sleeper });
  await before.start('runs');
  await before.create({ id: 'ends', args: ['sh', '-c', `while [ ! -e ${fifo} ]; do sleep 0.05; done; exit 5`] });
  const ends = await before.start('ends');
  const waiting = before.wait('runs');
  waiting.catch(() => undefined);
  const old = before.cursor;
  await before.close();
  await expect(waiting).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('closed') });
  expect(isAlive(pid)).toBe(true);
  const { writeFile } = await import('node:fs/promises');
  await writeFile(fifo, '');
  await waitFor(() => !isAlive(ends.pid), { doing: 'the end of a task that nobody watches' });

  await using after = await Supervisor.open({ directory });
  expect(Object.fromEntries((await after.list()).map(({ id, status }) => [id, status]))).toEqual({
    ends: 'stopped',
    runs: 'running',
  });
  const exit = (await first(after.events({ since: 'oldest' }), (event) => event.type === 'exit')).at(-1);
  expect(exit).toMatchObject({ type: 'exit', task: 'ends', status: 5 });
  // What happened while no supervisor was there comes after what the last one told, in the same order of cursors.
  expect(await first(after.events({ since: old }), (event) => event.type === 'exit')).toEqual([exit]);
  expect(await after.wait('ends')).toMatchObject({ pid: ends.pid, status: 5 });
  for (const id of ['ends', 'runs']) await after.delete(id, { force: true });
  expect(isAlive(pid)).toBe(false);
});

test('a task survives the kill of its host program', async () => {
  const directory = makeDirectory();
  const host = new Program(process.execPath, [
    '--input-type=module',
    '--eval',
    `import { Supervisor } from ${JSON.stringify(libraryUrl)};
     const supervisor = await Supervisor.open({ directory: ${JSON.stringify(directory)} });
     await supervisor.create({ id: 'a', args: ['sleep', '1000'] });
     console.log((await supervisor.start('a')).pid);
     setInterval(() => undefined, 1000);`,
  ]);
  const pid = Number(await waitFor(() => /^\d+$/m.exec(host.stdout)?.[0], { doing: 'the task of the host program' }));
  const inUse = { code: 'FAILED_PRECONDITION', message: expect.stringContaining(`pid ${host.child.pid}`) };
  await expect(Supervisor.open({ directory })).rejects.toMatchObject(inUse);
  host.child.kill('SIGKILL');
  await host.finished;
  expect(isAlive(pid)).toBe(true);
  await using supervisor = await Supervisor.open({ directory });
  expect(await supervisor.list()).toMatchObject([{ id: 'a', status: 'running', pid }]);
  await supervisor.kill('a');
  expect(await supervisor.wait('a')).toMatchObject({ pid, status: 143 });
  await supervisor.delete('a');
});

test.each([
  ['workers', { workers: 0 }, 'INVALID_ARGUMENT', /workers 0/],
  ['namespace', { namespace: 'a/b' }, 'INVALID_ARGUMENT', /namespace/],
  ['directories', { directory: { root: '/tmp/x', state: '/tmp/x/y' } }, 'INVALID_ARGUMENT', /separate/],
  ['directory that cannot be', { directory: '/dev/null/x' }, 'FAILED_PRECONDITION', /not a directory/],
])('a wrong %s is refused', async (_, options, code, message) => {
  await expect(Supervisor.open(options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

test('the log tells what happens, from the level that is asked for', async () => {
  const lines: LogLine[] = [];
  const supervisor = await Supervisor.open({ log: (line) => lines.push(line), logLevel: 'debug' });
  await supervisor.create({ id: 'a', args: ['true'] });
  await supervisor.close();
  const created = lines.find(({ event }) => event === 'task created');
  expect(created).toMatchObject({ level: 'info', fields: { namespace: 'default', task: 'a' } });
  expect(lines.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
});
