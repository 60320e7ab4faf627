import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RunRequest, specFor } from '../../../../src/cli/container/run-spec.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'shimd-spec-'));
  mkdirSync(path.join(directory, 'rootfs'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const request = (changes: Partial<RunRequest>): RunRequest => ({
  id: 'web',
  namespace: 'ns',
  runtime: 'io.containerd.runc.v2',
  source: { kind: 'bundle', directory },
  args: [],
  env: [],
  cwd: undefined,
  user: undefined,
  terminal: undefined,
  terminalPossible: false,
  consoleSize: undefined,
  network: undefined,
  readonlyRootfs: false,
  limits: {},
  ...changes,
});

const config = {
  ociVersion: '1.1.0',
  process: { terminal: true, user: { uid: 1, gid: 2 }, args: ['sh'], env: ['A=1'], cwd: '/srv', rlimits: [] },
  root: { path: 'rootfs' },
  mounts: [
    { destination: '/data', type: 'bind', source: 'data', options: ['rbind'] },
    { destination: '/proc', type: 'proc', source: 'proc' },
  ],
  linux: { namespaces: [{ type: 'mount' }], seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } },
  hooks: {},
};

const writeConfig = (value: unknown) => {
  writeFileSync(path.join(directory, 'config.json'), typeof value === 'string' ? value : JSON.stringify(value));
};

describe('a root file system', () => {
  const source = () => ({ kind: 'rootfs' as const, directory: path.join(directory, 'rootfs') });

  test('needs a command', async () => {
    await expect(specFor(request({ source: source() }))).rejects.toThrow(/no command given/);
  });

  test('becomes an absolute path', async () => {
    const relative = path.relative(process.cwd(), path.join(directory, 'rootfs'));
    const spec = await specFor(request({ source: { kind: 'rootfs', directory: relative }, args: ['true'] }));
    expect(spec.root.path).toBe(path.join(directory, 'rootfs'));
    expect(spec.process).toMatchObject({ args: ['true'], cwd: '/', terminal: false, user: { uid: 0, gid: 0 } });
  });

  test('that is not there, or no directory, is said in plain words', async () => {
    const missing = { kind: 'rootfs' as const, directory: path.join(directory, 'nope') };
    await expect(specFor(request({ source: missing, args: ['true'] }))).rejects.toThrow(/nope: there is no directory/);
    writeFileSync(path.join(directory, 'file'), '');
    const file = { kind: 'rootfs' as const, directory: path.join(directory, 'file') };
    await expect(specFor(request({ source: file, args: ['true'] }))).rejects.toThrow(/file: not a directory/);
  });
});

describe('the runtime for processes on the host', () => {
  const runtime = 'io.shimd.process.v1';
  const source = { kind: 'rootfs', directory: '/' } as const;

  test('gets a spec that asks for no isolation', async () => {
    const spec = await specFor(request({ runtime, source, args: ['ls'], env: ['A=1'] }));
    expect(spec).toEqual({
      ociVersion: '1.0.2',
      process: { terminal: false, args: ['ls'], env: [expect.stringMatching(/^PATH=/), 'A=1'], cwd: '/' },
      root: { path: '/' },
    });
  });

  test('refuses what it could not keep', async () => {
    const wrong = { kind: 'rootfs', directory: path.join(directory, 'rootfs') } as const;
    await expect(specFor(request({ runtime, source: wrong, args: ['ls'] }))).rejects.toThrow(/leave --rootfs out/);
    const limited = request({ runtime, source, args: ['ls'], limits: { memory: 5 } });
    await expect(specFor(limited)).rejects.toThrow(/--memory: .* isolates nothing/);
  });
});

describe('a bundle', () => {
  test('is taken as it is, but for paths that only it can resolve', async () => {
    writeConfig(config);
    const spec = await specFor(request({}));
    expect(spec).toMatchObject({ ociVersion: '1.1.0', hooks: {}, process: { args: ['sh'], cwd: '/srv', rlimits: [] } });
    expect(spec.root.path).toBe(path.join(directory, 'rootfs'));
    expect(spec.mounts?.[0]?.source).toBe(path.join(directory, 'data'));
    expect(spec.mounts?.[1]?.source).toBe('proc');
    expect(spec.linux).toMatchObject({ cgroupsPath: '/ns/web', seccomp: { defaultAction: 'SCMP_ACT_ALLOW' } });
  });

  test('keeps its own cgroup', async () => {
    writeConfig({ ...config, linux: { cgroupsPath: '/mine' } });
    expect((await specFor(request({}))).linux?.cgroupsPath).toBe('/mine');
  });

  test('gets a terminal as it says, where there is one to give, and as the command line says before that', async () => {
    writeConfig(config);
    const terminalOf = async (changes: Partial<RunRequest>) => (await specFor(request(changes))).process.terminal;
    expect(await terminalOf({ terminalPossible: true })).toBe(true);
    expect(await terminalOf({ terminalPossible: false })).toBe(false);
    expect(await terminalOf({ terminal: false, terminalPossible: true })).toBe(false);
    expect(await terminalOf({ terminal: true })).toBe(true);
  });

  test('says the size of our terminal where it gets one, and never that of another', async () => {
    const consoleSize = { width: 100, height: 30 };
    writeConfig({ ...config, process: { ...config.process, consoleSize: { width: 1, height: 1 } } });
    const sizeOf = async (terminal: boolean) => (await specFor(request({ terminal, consoleSize }))).process.consoleSize;
    expect(await sizeOf(true)).toEqual(consoleSize);
    expect(await sizeOf(false)).toBeUndefined();
  });

  test('gives way to the command line', async () => {
    writeConfig(config);
    const spec = await specFor(
      request({ args: ['ls'], env: ['A=2'], cwd: '/', user: '5:6', readonlyRootfs: true, limits: { pids: 3 } }),
    );
    expect(spec.process).toMatchObject({ args: ['ls'], env: ['A=2'], cwd: '/', user: { uid: 5, gid: 6 } });
    expect(spec.root.readonly).toBe(true);
    expect(spec.linux?.resources).toEqual({ pids: { limit: 3 } });
  });

  test.each([
    ['{', /config\.json is not JSON/],
    ['[]', /has to be an object/],
    [{ ...config, ociVersion: undefined }, /ociVersion is missing/],
    [{ ...config, process: undefined }, /process is missing/],
    [{ ...config, root: {} }, /root\.path is missing/],
    [{ ...config, root: { path: 'nope' } }, /there is no directory/],
    [{ ...config, process: { ...config.process, args: [1] } }, /process\.args\[0\] has to be a string/],
    [{ ...config, process: { ...config.process, args: [] } }, /names a command/],
    [{ ...config, mounts: {} }, /mounts has to be an array/],
    [{ ...config, mounts: [{}] }, /mounts\[0\]\.destination is missing/],
  ])('with a config.json that is wrong is refused with the place: %#', async (value, message) => {
    writeConfig(value);
    await expect(specFor(request({}))).rejects.toThrow(message);
  });

  test('without a config.json is refused with its path', async () => {
    await expect(specFor(request({}))).rejects.toThrow(`--bundle ${directory}: there is no config.json`);
  });
});
