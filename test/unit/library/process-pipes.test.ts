import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ProcessPipes } from '../../../src/library/process-pipes.ts';

let scratch = '';
beforeEach(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'shimd-pipes-'));
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

test('what is not piped has ended streams and needs no files', async () => {
  const pipes = await ProcessPipes.open(scratch, {});
  expect(pipes.stdio).toEqual({ stdin: '', stdout: '', stderr: '', terminal: false });
  expect(await text(pipes.streams.stdout)).toBe('');
  expect(pipes.streams.stdin.writableEnded).toBe(true);
  expect(await readdir(scratch)).toEqual([]);
});

test('a file takes both outputs', async () => {
  const { stdio } = await ProcessPipes.open(scratch, { output: { file: '/var/log/x' } });
  expect(stdio).toMatchObject({ stdout: 'file:///var/log/x', stderr: 'file:///var/log/x' });
});

test('outputs are kept apart, and their FIFOs go when both have ended', async () => {
  const pipes = await ProcessPipes.open(scratch, { output: 'pipe' });
  for (const [file, word] of [
    [pipes.stdio.stdout, 'out'],
    [pipes.stdio.stderr, 'err'],
  ] as const) {
    createWriteStream(file).end(word);
  }
  expect(await Promise.all([text(pipes.streams.stdout), text(pipes.streams.stderr)])).toEqual(['out', 'err']);
  await pipes.ended();
  expect(await readdir(scratch)).toEqual([]);
});

test('input written before anybody reads arrives, and its end is told', async () => {
  const pipes = await ProcessPipes.open(scratch, { stdin: 'pipe' });
  const told = new Promise<void>((resolve) => {
    pipes.passInput(() => Promise.resolve(resolve()));
  });
  pipes.streams.stdin.end('hello');
  expect(await text(createReadStream(pipes.stdio.stdin))).toBe('hello');
  await told;
  await pipes.close();
});

test('closing ends streams that are open and removes the FIFOs', async () => {
  const pipes = await ProcessPipes.open(scratch, { stdin: 'pipe', output: 'pipe' });
  pipes.passInput(() => Promise.reject(new Error('not told')));
  const ended = pipes.ended();
  await pipes.close();
  await ended;
  expect(await readdir(scratch)).toEqual([]);
});

test('paths of the caller are passed on as they are', async () => {
  const { stdio } = await ProcessPipes.open(scratch, { stdio: { stdout: '/some/fifo', terminal: true } });
  expect(stdio).toEqual({ stdin: '', stdout: '/some/fifo', stderr: '', terminal: true });
  const mixed = ProcessPipes.open(scratch, { stdio: {}, output: 'pipe' });
  await expect(mixed).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});
