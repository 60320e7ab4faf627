import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { FileLock, FileLockedError } from '../../../../src/shared/host/index.ts';
import { scratchDirectory } from './scratch.ts';

test('a lock excludes other processes, names its holder and ends with release', () => {
  const file = path.join(scratchDirectory(), 'lock');
  const lock = FileLock.acquire(file);
  expect(readFileSync(file, 'utf8')).toBe(`${process.pid}\n`);
  expect(spawnSync('flock', ['-n', file, 'true']).status).toBe(1);
  lock.release();
  lock.release();
  expect(spawnSync('flock', ['-n', file, 'true']).status).toBe(0);
});

test('a second holder is refused at once with the pid of the first', () => {
  const file = path.join(scratchDirectory(), 'lock');
  using first = FileLock.acquire(file);
  expect(() => FileLock.acquire(file)).toThrow(FileLockedError);
  expect(() => FileLock.acquire(file)).toThrow(expect.objectContaining({ holder: process.pid, path: first.path }));
});

test('a lock ends with the process that held it, and its stale line is replaced', async () => {
  const file = path.join(scratchDirectory(), 'lock');
  writeFileSync(file, '4000000000 and something longer than a pid\n');
  const program = `exec 9>>"$0"; flock 9; echo locked; exec sleep 60`;
  const holder = spawn('sh', ['-c', program, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  expect(() => FileLock.acquire(file)).toThrow(FileLockedError);
  holder.kill('SIGKILL');
  await once(holder, 'close');
  using lock = FileLock.acquire(file);
  expect(readFileSync(lock.path, 'utf8')).toBe(`${process.pid}\n`);
});

test('a lock is not passed on to children', async () => {
  const file = path.join(scratchDirectory(), 'lock');
  const lock = FileLock.acquire(file);
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child, 'spawn');
  lock.release();
  expect(() => FileLock.acquire(file).release()).not.toThrow();
});

test('a lock in a directory that is not there fails with the code of the errno', () => {
  expect(() => FileLock.acquire(path.join(scratchDirectory(), 'none', 'lock'))).toThrow(
    expect.objectContaining({ code: 'ENOENT' }),
  );
});
