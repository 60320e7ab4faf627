import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { commands } from '../../../src/cli/commands/index.ts';
import { runCli } from '../../../src/cli/program.ts';

let stdout: string;
let stderr: string;
let directory: string;

beforeEach(() => {
  stdout = '';
  stderr = '';
  directory = mkdtempSync(path.join(tmpdir(), 'shimd-cli-'));
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  vi.stubEnv('SHIMD_ADDRESS', path.join(directory, 'shimd.sock'));
  vi.stubEnv('SHIMD_NAMESPACE', '');
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.stdout.removeAllListeners('error');
  rmSync(directory, { recursive: true, force: true });
});

const oneLineSaying = (...parts: string[]) => {
  expect(stdout).toBe('');
  expect(stderr.endsWith('\n')).toBe(true);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  for (const part of parts) expect(stderr).toContain(part);
};

describe('help', () => {
  test('lists every command and the exit codes, and is what no arguments get', async () => {
    expect(await runCli([])).toBe(0);
    for (const { name, summary } of commands) {
      expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
      expect(stdout).toContain(summary.split(' ')[0]);
    }
    expect(stdout).toContain('serve');
    expect(stdout).toContain('125');
    expect(stderr).toBe('');
  });

  test.each(commands.map(({ name }) => name))('of %s has options, examples and exit codes', async (name) => {
    expect(await runCli(['help', name])).toBe(0);
    expect(stdout).toContain(`Usage: shimd ${name}`);
    expect(stdout).toContain('--namespace');
    expect(stdout).toContain('Examples:');
    expect(stdout).toContain('Exit status:');
    const asked = stdout;
    stdout = '';
    expect(await runCli([name, '--help'])).toBe(0);
    expect(stdout).toBe(asked);
  });
});

describe('a wrong command line', () => {
  test.each([
    [['foo'], 2, "unknown command 'foo'"],
    [['pss'], 2, 'Did you mean ps?'],
    [['--bogus', 'ps'], 2, '--bogus'],
    [['ps', '--bogus'], 2, '--bogus'],
    [['ps', 'extra'], 2, 'too many arguments'],
    [['rm'], 2, "missing required argument 'id'"],
    [['kill', '-s', 'FOO', 'x'], 2, "--signal 'FOO'"],
    [['slots', 'stop'], 2, "'stop'"],
    [['slots', 'restart', 'x'], 2, 'slots restart 0'],
    [['serve'], 2, 'serve'],
    [['run', '--bogus'], 125, '--bogus'],
    [['run', '--', 'true'], 125, '--rootfs DIR or --bundle DIR'],
    [['run', '--rootfs', '/', '--bundle', '/', '--', 'true'], 125, '--rootfs DIR or --bundle DIR'],
    [['run', '--rootfs', '/'], 125, 'no command'],
    [['run', '--rootfs', '/', '-d', '-t', '--', 'true'], 125, '--tty and --detach'],
    [['run', '--rootfs', '/', '-d', '--rm', '--', 'true'], 125, '--rm and --detach'],
    [['run', '--rootfs', '/', '--id', '../x', '--', 'true'], 125, '--id'],
    [['run', '--rootfs', '/', '--memory', 'lots', '--', 'true'], 125, '512m'],
    [['exec'], 125, "missing required argument 'id'"],
    [['exec', 'x'], 125, "missing required argument 'command'"],
    [['exec', 'x', '--'], 125, 'no command'],
  ])('%j ends with %i and one line', async (argv, status, part) => {
    expect(await runCli(argv)).toBe(status);
    oneLineSaying('shimd', part, '--help');
  });

  test('a bad namespace is said in one line, wherever it comes from', async () => {
    expect(await runCli(['-n', '../x', 'ps'])).toBe(1);
    oneLineSaying('namespace validation');
    stderr = '';
    vi.stubEnv('SHIMD_NAMESPACE', 'a/b');
    expect(await runCli(['ps'])).toBe(1);
    oneLineSaying('namespace validation');
  });
});

describe('a daemon that is not there', () => {
  test.each([
    [['ps'], 1],
    [['--address', '/nope', 'ps'], 1],
    [['ps', '--address', '/nope'], 1],
    [['kill', 'x'], 1],
    [['rm', 'x', 'y'], 1],
    [['exec', 'x', 'true'], 125],
    [['run', '--rootfs', '/', '-d', '--', 'true'], 125],
  ])('makes %j end with %i and one line that says how to start it', async (argv, status) => {
    expect(await runCli(argv)).toBe(status);
    oneLineSaying('cannot reach the daemon', "'shimd serve'");
  });

  test('is named by its address, the command line before the environment', async () => {
    await runCli(['ps', '--address', path.join(directory, 'other.sock')]);
    expect(stderr).toContain('other.sock');
  });

  test('does not keep version from telling the client’s', async () => {
    expect(await runCli(['--version'])).toBe(1);
    expect(stdout).toMatch(/^client {2}\d+\.\d+\.\d+/);
    expect(stderr).toContain('cannot reach the daemon');
  });
});
