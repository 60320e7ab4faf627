import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findExecutable } from '../../../src/process-shim/executable.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'executable-'));
  mkdirSync(path.join(directory, 'bin'));
  mkdirSync(path.join(directory, 'bin/folder'));
  writeFileSync(path.join(directory, 'bin/program'), '');
  writeFileSync(path.join(directory, 'bin/plain'), '');
  chmodSync(path.join(directory, 'bin/program'), 0o755);
});
afterEach(() => rmSync(directory, { recursive: true }));

const find = (command: string, environment = [`PATH=/nowhere:${directory}/bin`]) =>
  findExecutable(command, environment, directory);

it('searches the PATH of the environment that is given', () => {
  expect(find('program')).toBe(`${directory}/bin/program`);
  expect(find('program', ['PATH=/nowhere', `PATH=${directory}/bin`])).toBe(`${directory}/bin/program`);
  expect(() => find('program', ['PATH=/nowhere'])).toThrow('exec: "program": executable file not found in $PATH');
  expect(() => find('program', [])).toThrow('executable file not found in $PATH');
  expect(find('sh', [])).toMatch(/\/bin\/sh$/);
});

it('takes a name with a slash from the working directory', () => {
  expect(find('bin/program')).toBe(`${directory}/bin/program`);
  expect(find('./bin/program')).toBe(`${directory}/bin/program`);
});

it.each([
  ['bin/nope', 'exec: "bin/nope": no such file or directory'],
  ['bin/plain', 'exec: "bin/plain": permission denied'],
  ['bin/folder', 'exec: "bin/folder": is a directory'],
  ['bin/program/x', 'exec: "bin/program/x": not a directory'],
  ['plain', 'exec: "plain": permission denied'],
])('says why %s cannot be run', (command, message) => {
  expect(() => find(command)).toThrow(message);
});
