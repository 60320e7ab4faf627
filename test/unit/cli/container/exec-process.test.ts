import { expect, test } from 'vitest';
import { execProcess } from '../../../../src/cli/container/exec-process.ts';

const init = {
  user: { uid: 1, gid: 2 },
  args: ['/bin/server'],
  env: ['PATH=/bin', 'LEVEL=info'],
  cwd: '/srv',
  terminal: true,
  consoleSize: { width: 1, height: 1 },
  noNewPrivileges: true,
};

test('an exec is the container’s process with another command', () => {
  const process = execProcess(init, { args: ['ls'], env: [], cwd: undefined, user: undefined, terminal: false });
  expect(process).toEqual({
    user: { uid: 1, gid: 2 },
    args: ['ls'],
    env: ['PATH=/bin', 'LEVEL=info'],
    cwd: '/srv',
    terminal: false,
    noNewPrivileges: true,
  });
});

test('an exec’s own environment, directory and user win, and a terminal has a type', () => {
  const request = { args: ['sh'], env: ['LEVEL=debug'], cwd: '/', user: { uid: 5, gid: 6 }, terminal: true };
  expect(execProcess(init, request)).toMatchObject({
    env: ['PATH=/bin', 'LEVEL=debug', 'TERM=xterm'],
    cwd: '/',
    user: { uid: 5, gid: 6 },
    terminal: true,
  });
});
