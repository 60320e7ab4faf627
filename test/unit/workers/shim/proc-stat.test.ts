import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { arch } from 'node:process';
import { expect, test } from 'vitest';
import { identifyProcess } from '../../../../workers/shim/host-process.ts';
import { exitStatusOf, hasEnded, parseProcStat, readProcStat } from '../../../../workers/shim/proc-stat.ts';
import { waitFor } from '../../../helpers/wait-for.ts';

test('a name with spaces and parentheses is no part of what is read', () => {
  const fields = ['Z', '7', ...Array.from({ length: 15 }, () => '0'), '1', '0', '4242', ...Array(29).fill('0'), '9'];
  const read = parseProcStat(`12 (a) b (c) ${fields.join(' ')}\n`);
  expect(read).toEqual({ state: 'Z', parent: 7, threads: 1, startTime: 4242, exitCode: 9 });
  expect(exitStatusOf(9)).toBe(137);
  expect(exitStatusOf(7 << 8)).toBe(7);
});

/** The number of the system call that ends the calling thread alone. */
const exitThread: Partial<Record<NodeJS.Architecture, number>> = { x64: 60, arm64: 93 };

test.skipIf(exitThread[arch] === undefined)('a process whose first thread has ended runs on', async () => {
  const program = `
    import koffi from 'koffi';
    const exit = koffi.load('libc.so.6').func('long syscall(long, long)');
    process.stdout.write('ready');
    process.stdin.once('data', () => exit(${exitThread[arch]}, 3));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  try {
    await once(child.stdout, 'data');
    child.stdin.write('go');
    const pid = child.pid ?? 0;
    const found = await waitFor(
      () => {
        const read = readProcStat(pid);
        return read?.state === 'Z' && read;
      },
      { doing: 'the first thread to end' },
    );
    expect(hasEnded(found)).toBe(false);
    expect(await identifyProcess(pid)).toEqual({ pid, startTime: found.startTime });
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
  expect(readProcStat(child.pid ?? 0)).toBeUndefined();
});
