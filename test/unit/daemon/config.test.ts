import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseConfig, readConfigFile } from '../../../src/daemon/config/config-file.ts';
import { parseDuration } from '../../../src/daemon/config/duration.ts';
import { lineOfKey } from '../../../src/daemon/config/key-position.ts';
import { defaultDeadlines, resolveSettings } from '../../../src/daemon/config/settings.ts';

const root = { uid: 0, env: {} };
const parse = (text: string) => parseConfig('c.toml', text);

describe('a configuration file', () => {
  test('sets everything that the daemon has a setting for', () => {
    const file = parse(`
      root = "/r"
      state = "/s"
      address = "/a/shimd.sock"
      socket_group = "docker"
      log_level = "debug"
      log_format = "json"
      workers = 3
      [placement]
      mode = "per-task"
      tasks_per_shim = 20
      tasks_per_shim_life = 200
      idle_grace = "1m"
      [placement.runtimes]
      "io.containerd.runc.v2" = "auto"
      [shim]
      debug = true
      environment = { GOGC = "50" }
      heartbeat = "2.5s"
      lost_exit_after = "45s"
      socket_directory = "/run/s"
      [deadlines]
      state = "500ms"
      call = "1m"
      [restart]
      interval = "3s"
      first_pause = "1s"
      longest_pause = "1m"
      healthy_after = "20s"
      grace = "4s"
      parallel = 3
      log_directories = ["/srv/log"]
      binary_logs = true
    `);
    expect(resolveSettings({}, file, root)).toEqual({
      directories: { root: '/r', state: '/s' },
      address: '/a/shimd.sock',
      eventsAddress: '/s/events.sock',
      socketGroup: 'docker',
      logLevel: 'debug',
      logFormat: 'json',
      workers: 3,
      placement: {
        mode: 'per-task',
        runtimes: { 'io.containerd.runc.v2': 'auto' },
        tasksPerShim: 20,
        maxTasksPerShimLife: 200,
        idleGrace: 60_000,
      },
      restart: {
        interval: 3000,
        firstPause: 1000,
        longestPause: 60_000,
        healthyAfter: 20_000,
        grace: 4000,
        parallel: 3,
        logDirectories: ['/srv/log'],
        binaryLogs: true,
      },
      shimDebug: true,
      shimEnvironment: { GOGC: '50' },
      heartbeat: 2_500,
      lostExitAfter: 45_000,
      socketDirectory: '/run/s',
      deadlines: { ...defaultDeadlines, state: 500, call: 60_000 },
    });
  });

  test.each([
    [
      'an unknown key',
      'workers = 2\n\n[shim]\ndebug = true\nspeed = "fast"\n',
      'c.toml:5: shim.speed: no such setting',
    ],
    ['an unknown table', 'workers = 2\n[shims]\na = 1\n', 'c.toml:2: shims: no such setting'],
    ['a wrong type', '# workers\n\nworkers = "two"\n', 'c.toml:3: workers: Invalid input: expected number'],
    ['a number out of range', 'workers = 0', 'c.toml:1: workers: Too small'],
    ['too many tasks a shim', '[placement]\ntasks_per_shim = 101', 'c.toml:2: placement.tasks_per_shim: Too big'],
    ['a relative directory', 'root = "r"', 'c.toml:1: root: must be an absolute path'],
    ['a bad duration', '[deadlines]\nload = "1s"\ncall = "1 hour"', 'c.toml:3: deadlines.call: must be a duration'],
    ['an unknown choice', 'log_level = "trace"', 'c.toml:1: log_level: Invalid option'],
    ['a bad group', 'socket_group = true', 'c.toml:1: socket_group: must be the name or the number of a group'],
    [
      'a bad mode of a runtime',
      '[placement.runtimes]\n# the default one\n"io.containerd.runc.v2" = "warm"\n',
      'c.toml:3: placement.runtimes."io.containerd.runc.v2": Invalid option',
    ],
    [
      'a variable that is none',
      '[shim.environment]\nA = "1"\n"B C" = "2"\n',
      'c.toml:3: shim.environment."B C": must be the name of an environment variable',
    ],
    ['text that is no TOML', 'workers = 2\nstate = \n', /^c\.toml:2:\d+: \S/],
  ])('with %s is refused with file, line and key', (_, text, message) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ exitCode: 2 }));
    expect(() => parse(text)).toThrow(message);
  });

  test('that is not there, or is a directory, is refused with its name', () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'shimd-config-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    expect(() => readConfigFile(path.join(directory, 'none.toml'))).toThrow(/cannot read .*none\.toml: ENOENT/);
    expect(() => readConfigFile(directory)).toThrow(/cannot read .*: EISDIR/);
    const file = path.join(directory, 'c.toml');
    writeFileSync(file, 'workers = 4\n');
    expect(readConfigFile(file)).toEqual({ workers: 4 });
  });
});

describe('the line of a key', () => {
  const text = [
    'a = 1 # a comment',
    '',
    'list = [',
    '  1,',
    ']',
    'text = """',
    'b = 2',
    '"""',
    'x.y = 3',
    '[t]',
    'b = 4',
  ];
  test.each([
    [['a'], 1],
    [['list'], 3],
    [['text'], 6],
    [['x', 'y'], 9],
    [['t'], 10],
    [['t', 'b'], 11],
    [['b'], undefined],
  ])('%j begins on line %j', (key, line) => {
    expect(lineOfKey(text.join('\n'), key)).toBe(line);
  });
});

describe('settings', () => {
  test('without a file or flags are the defaults', () => {
    expect(resolveSettings({}, {}, root)).toMatchObject({
      directories: { root: '/var/lib/shimd', state: '/run/shimd' },
      address: '/run/shimd/shimd.sock',
      eventsAddress: '/run/shimd/events.sock',
      logLevel: 'info',
      workers: 2,
      placement: { mode: 'auto', runtimes: {} },
    });
  });

  test('of the command line win over those of the file', () => {
    const flags = { root: '/fr', state: '/fs', address: 'unix:///fa', logLevel: 'error', workers: 1 } as const;
    const file = { root: '/r', state: '/s', address: '/a', log_level: 'debug', workers: 5 } as const;
    expect(resolveSettings(flags, file, root)).toMatchObject({
      directories: { root: '/fr', state: '/fs' },
      address: '/fa',
      logLevel: 'error',
      workers: 1,
    });
  });

  test.each([
    ['/x', '/x'],
    ['/x', '/x/state'],
    ['/x/root', '/x'],
  ])('with root %s and state %s are refused', (one, other) => {
    expect(() => resolveSettings({ root: one, state: other }, {}, root)).toThrow(/must be separate directories/);
  });

  test.each([
    ['a socket path over the limit', `/${'x'.repeat(107)}`, /has 108 bytes, the platform allows 107/],
    ['an abstract socket', '@shimd', /is abstract/],
    ['a TCP address', 'unix:tcp', /neither an absolute path/],
  ])('with %s are refused', (_, address, message) => {
    expect(() => resolveSettings({ address }, {}, root)).toThrow(message);
    expect(() => resolveSettings({ address }, {}, root)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });

  test('with a long state directory need an address, and keep the events socket where it was', () => {
    const state = `/${'s'.repeat(100)}`;
    expect(() => resolveSettings({ state }, {}, root)).toThrow(/address: socket path/);
    const resolved = resolveSettings({ state, address: '/run/a.sock' }, {}, root);
    expect(resolved.eventsAddress).toMatch(/^\/run\/shimd-[0-9a-f]{16}\/events\.sock$/);
    expect(resolveSettings({ state, address: '/run/b.sock' }, {}, root).eventsAddress).toBe(resolved.eventsAddress);
    expect(resolveSettings({ state: `${state}t`, address: '/run/b.sock' }, {}, root).eventsAddress).not.toBe(
      resolved.eventsAddress,
    );
  });
});

describe('a duration', () => {
  test.each([
    ['500ms', 500],
    ['2.5s', 2500],
    ['1m', 60_000],
    ['0s', undefined],
    ['5', undefined],
    ['-1s', undefined],
    ['1h', undefined],
    ['99999999m', undefined],
  ])('%s is %s ms', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });
});
