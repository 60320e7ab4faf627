import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { unlinkDeadSocket } from '../../../../workers/shim/socket-file.ts';

/** Says `up` when it listens, and `taken` for each connection. */
const listener = `
  require('node:net')
    .createServer((socket) => { socket.on('error', () => {}); process.stdout.write('taken\\n'); })
    .listen(process.argv[1], () => process.stdout.write('up\\n'));
`;

let directory: string;
let socket: string;
let child: ChildProcess;

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'socket-file-'));
  socket = path.join(directory, 's');
  child = spawn(process.execPath, ['-e', listener, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout) await once(child.stdout, 'data');
});

afterEach(() => {
  child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

const budget = () => Date.now() + 5000;

test('that nobody listens at any more is removed', async () => {
  child.kill('SIGKILL');
  await once(child, 'exit');
  await unlinkDeadSocket(socket, budget());
  expect(existsSync(socket)).toBe(false);
});

test('that takes a last connection and then none is removed', async () => {
  child.stdout?.once('data', () => child.kill('SIGKILL'));
  await unlinkDeadSocket(socket, budget());
  expect(existsSync(socket)).toBe(false);
});

test('that somebody listens at is left', async () => {
  await unlinkDeadSocket(socket, budget());
  expect(existsSync(socket)).toBe(true);
});
