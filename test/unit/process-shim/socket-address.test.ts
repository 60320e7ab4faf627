import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { ensureSocketDirectory, socketPath } from '../../../src/process-shim/socket-address.ts';

it('gives each identity one path, and refuses a directory that makes it too long for a socket', () => {
  const identity = { grpcAddress: '/a', namespace: 'n', id: 'i' };
  expect(socketPath('/run/s', identity)).toBe(socketPath('/run/s', { ...identity }));
  expect(socketPath('/run/s', identity)).toMatch(/^\/run\/s\/[0-9a-f]{32}\.sock$/);
  expect(socketPath('/run/s', { ...identity, id: 'j' })).not.toBe(socketPath('/run/s', identity));
  expect(socketPath('/run/s', { ...identity, namespace: 'ni', id: '' })).not.toBe(socketPath('/run/s', identity));
  expect(() => socketPath(`/${'x'.repeat(60)}`, identity)).toThrow('is too long');
});

it('makes the directory private, leaves one that is there, and refuses one where others could put sockets', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'socket-address-'));
  ensureSocketDirectory(path.join(directory, 'a/s'));
  expect(statSync(path.join(directory, 'a/s')).mode & 0o777).toBe(0o700);
  chmodSync(path.join(directory, 'a/s'), 0o711);
  ensureSocketDirectory(path.join(directory, 'a/s'));
  expect(statSync(path.join(directory, 'a/s')).mode & 0o777).toBe(0o711);
  chmodSync(path.join(directory, 'a/s'), 0o777);
  expect(() => ensureSocketDirectory(path.join(directory, 'a/s'))).toThrow('is not a directory that only user');
  symlinkSync('/tmp', path.join(directory, 'link'));
  expect(() => ensureSocketDirectory(path.join(directory, 'link'))).toThrow('is not a directory that only user');
  rmSync(directory, { recursive: true });
});
