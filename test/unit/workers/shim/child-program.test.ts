import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { startProgram } from '../../../../workers/shim/child-program.ts';

const read = (stream: Readable | null): Promise<string> => (stream === null ? Promise.resolve('') : text(stream));

const shell = (script: string, input = '') =>
  startProgram({
    binary: '/bin/sh',
    args: ['-c', script],
    directory: '/',
    environment: { PATH: '/usr/bin:/bin' },
    input: Buffer.from(input),
  });

test.each([
  ['no input', 0],
  ['as much input as a pipe takes', 4096],
  ['more input than a pipe takes', 200_000],
])('a program with %s reads all of it and its end', async (_, length) => {
  const input = 'x'.repeat(length);
  const { ended, outputs } = shell('cat; echo wrong >&2; exit 3', input);
  const [out, err] = await Promise.all([read(outputs.stdout), read(outputs.stderr)]);
  expect(out === input).toBe(true);
  expect(err).toBe('wrong\n');
  expect(await ended).toEqual({ kind: 'exited', code: 3, signal: null });
});

test('the end of a program is told while what it left running holds its output', async () => {
  const { ended, outputs } = shell('sleep 1000 & echo $!');
  const left = new Promise<number>((resolve) => {
    outputs.stdout?.once('data', (chunk: Buffer) => resolve(Number(chunk)));
  });
  expect(await ended).toEqual({ kind: 'exited', code: 0, signal: null });
  expect(outputs.stdout?.closed).toBe(false);
  process.kill(await left);
  await read(outputs.stderr);
});

test('a program that prints much is read to its end', async () => {
  const { ended, outputs } = shell('head -c 1000000 /dev/zero; exec head -c 1000000 /dev/zero >&2');
  const [out, err] = await Promise.all([read(outputs.stdout), read(outputs.stderr)]);
  expect([out.length, err.length]).toEqual([1_000_000, 1_000_000]);
  expect(await ended).toMatchObject({ kind: 'exited', code: 0 });
});

test('a program that cannot be started is told as such', async () => {
  const { pid, ended } = startProgram({
    binary: '/nowhere/shim',
    args: [],
    directory: '/',
    environment: {},
    input: Buffer.alloc(0),
  });
  expect(pid).toBeUndefined();
  expect(await ended).toMatchObject({ kind: 'failed', reason: expect.stringContaining('/nowhere/shim') as unknown });
});
