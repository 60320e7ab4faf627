import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import {
  identifyProcess,
  isAlive,
  killProcess,
  runsProgram,
  untilGone,
} from '../../../../workers/shim/host-process.ts';

test.each<[string, string[], string[], boolean]>([
  ['the program itself', ['/bin/sleep', '10'], ['sleep', '10'], true],
  ['a script behind its interpreter', ['/bin/sh', '/run.sh', 'a'], ['/run.sh', 'a'], true],
  ['the init of runc', ['runc', 'init'], ['/bin/sleep', '10'], false],
  ['the init of runc, for a program with one argument', ['runc', 'init'], ['/bin/sh', 'x'], false],
  ['the create of crun', ['crun', '--root', '/x', 'create', 'id'], ['sh'], false],
  ['a shell that waits', ['sh', '-c', 'read', 'sh', 'sleep', '10'], ['sleep', '10'], false],
  ['a process that is gone', [], ['sleep'], false],
])('%s', (_, args, wanted, expected) => {
  expect(runsProgram(args, wanted)).toBe(expected);
});

test('a process is known from a later one with its pid, and seen to go', async () => {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const process = await identifyProcess(child.pid ?? 0);
  if (process === undefined) throw new Error('it does not run');
  expect(await isAlive(process)).toBe(true);
  expect(await isAlive({ ...process, startTime: process.startTime - 1 })).toBe(false);
  await killProcess({ ...process, startTime: process.startTime - 1 });
  expect(await isAlive(process)).toBe(true);
  expect(await untilGone(process, Date.now())).toBe(false);
  await killProcess(process);
  expect(await untilGone(process, Date.now() + 5000)).toBe(true);
  await exited;
});
