import { closeSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { closePipeEnd, endOf, makePipe, type ProgramEnd, spawnLean } from '../../../../src/shared/host/index.ts';
import { SystemError } from '../../../../src/shared/host/system-error.ts';

async function untilEnded(pid: number): Promise<ProgramEnd> {
  for (let looks = 0; looks < 1000; looks += 1) {
    const end = endOf(pid);
    if (end !== undefined) return end;
    await delay(5);
  }
  throw new Error('it does not end');
}

function spawnWith(options: Partial<Parameters<typeof spawnLean>[0]> & { readonly args: readonly string[] }): number {
  const nothing = openSync('/dev/null', 'r+');
  try {
    return spawnLean({
      file: '/bin/sh',
      environment: {},
      directory: '/',
      stdio: [nothing, nothing, nothing],
      ...options,
    });
  } finally {
    closeSync(nothing);
  }
}

test('a program has the directory, environment, arguments, input and outputs that it was given, and not the descriptors themselves', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'shimd-spawn-'));
  const [stdin, fill] = makePipe();
  const out = openSync(path.join(directory, 'out'), 'w');
  const err = openSync(path.join(directory, 'err'), 'w');
  try {
    closePipeEnd(fill);
    const script =
      'cat; pwd; echo "$GIVEN-${LEFT_OUT-none}-$1"; echo wrong >&2; for fd in /proc/self/fd/*; do echo "${fd##*/}"; done';
    const pid = spawnWith({
      args: ['-c', script, 'sh', 'a b'],
      environment: { PATH: '/usr/bin:/bin', GIVEN: 'ü', LEFT_OUT: undefined },
      directory,
      stdio: [stdin, out, err],
    });
    expect(await untilEnded(pid)).toEqual({ code: 0, signal: null });
    const [at, given, ...descriptors] = readFileSync(path.join(directory, 'out'), 'utf8').trim().split('\n');
    expect(at).toBe(directory);
    expect(given).toBe('ü-none-a b');
    for (const fd of [stdin, out, err]) expect(descriptors).not.toContain(String(fd));
    expect(readFileSync(path.join(directory, 'err'), 'utf8')).toBe('wrong\n');
  } finally {
    for (const fd of [out, err]) closeSync(fd);
    closePipeEnd(stdin);
    rmSync(directory, { recursive: true });
  }
});

test('a program has a session of its own, no signal blocked or ignored, and its end tells the status or the signal', async () => {
  const pid = spawnWith({ file: '/bin/sleep', args: ['1000'] });
  expect(endOf(pid)).toBeUndefined();
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ');
  expect(fields?.slice(2, 4)).toEqual([String(pid), String(pid)]);
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  expect(/^SigBlk:\s*0+$/m.test(status)).toBe(true);
  expect(/^SigIgn:\s*0+$/m.test(status)).toBe(true);
  expect(readlinkSync(`/proc/${pid}/cwd`)).toBe('/');
  process.kill(-pid, 'SIGKILL');
  expect(await untilEnded(pid)).toEqual({ code: null, signal: 'SIGKILL' });
  // Who asks too often is told nothing wrong.
  expect(endOf(pid)).toEqual({ code: null, signal: null });
  expect(await untilEnded(spawnWith({ args: ['-c', 'exit 7'] }))).toEqual({ code: 7, signal: null });
});

test.each([
  ['no such program', { file: '/nowhere/sh' }, 'ENOENT'],
  ['no such directory', { directory: '/nowhere' }, 'ENOENT'],
  ['no program', { file: '/etc/passwd' }, 'EACCES'],
])('%s is an error, and nothing is started', (_, options, code) => {
  const spawn = () => spawnWith({ args: ['-c', ':'], ...options });
  expect(spawn).toThrow(SystemError);
  expect(spawn).toThrow(code);
});
