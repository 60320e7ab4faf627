import { expect, test } from 'vitest';
import { dialTarget, socketPath } from '../../../../src/cli/client/address.ts';

test.each([
  ['/run/shimd/shimd.sock', '/run/shimd/shimd.sock'],
  ['unix:///run/s.sock', '/run/s.sock'],
  ['unix:/run/s.sock', '/run/s.sock'],
  ['s.sock', `${process.cwd()}/s.sock`],
])('%s is the socket %s', (address, file) => {
  expect(socketPath(address)).toBe(file);
  expect(dialTarget(address)).toBe(`unix:${file}`);
});

test.each(['', 'tcp://127.0.0.1:80', 'http://x'])('%j is no socket', (address) => {
  expect(() => socketPath(address)).toThrow(/path of a unix socket/);
});
