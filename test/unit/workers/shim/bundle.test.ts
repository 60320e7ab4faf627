import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TaskRecord } from '../../../../src/shared/bundle-records.ts';
import { parseExecId, parseNamespace, parseShimId, parseTaskId } from '../../../../src/shared/identifiers.ts';
import type { Directories } from '../../../../src/shared/layout.ts';
import { readBootstrap, readShimBinaryPath, writeShimBinaryPath } from '../../../../workers/shim/bootstrap-file.ts';
import {
  appendProcess,
  prepareShimBundle,
  prepareTaskBundle,
  readProcesses,
  readTaskRecord,
  removeBundle,
  sweepRemoved,
} from '../../../../workers/shim/bundle.ts';

const stdio = { stdin: '', stdout: '/out', stderr: '', terminal: false };
const record: TaskRecord = {
  namespace: parseNamespace('default'),
  task: parseTaskId('web'),
  shim: parseShimId('web'),
  mode: 'per-task',
  binary: '/usr/bin/containerd-shim-runc-v2',
  runtime: 'io.containerd.runc.v2',
  stdio,
};
const soon = () => Date.now() + 5000;

describe('a bundle', () => {
  let top: string;
  let directories: Directories;

  beforeEach(async () => {
    top = await mkdtemp(path.join(tmpdir(), 'shimd-bundle-'));
    directories = { root: path.join(top, 'root'), state: path.join(top, 'state') };
  });

  afterEach(() => rm(top, { recursive: true }));

  const prepare = (spec = '{}') => prepareTaskBundle(directories, record, Buffer.from(spec));
  const modeOf = async (file: string) => ((await stat(file)).mode & 0o777).toString(8);

  test('has what a shim looks for, closed to others whatever the umask is', async () => {
    const umask = process.umask(0o077);
    try {
      const bundle = await prepare('{"ociVersion":"1.0.2"}');
      expect((await readdir(bundle)).toSorted()).toEqual([
        'config.json',
        'log',
        'rootfs',
        'runtime',
        'task.json',
        'work',
      ]);
      expect(await modeOf(bundle)).toBe('700');
      expect(await modeOf(path.dirname(bundle))).toBe('711');
      expect(await modeOf(path.join(bundle, 'rootfs'))).toBe('711');
      expect(await readFile(path.join(bundle, 'config.json'), 'utf8')).toBe('{"ociVersion":"1.0.2"}');
      expect(await readlink(path.join(bundle, 'work'))).toBe(path.join(directories.root, 'default/web'));
      expect(await readTaskRecord(bundle)).toEqual(record);
    } finally {
      process.umask(umask);
    }
  });

  test.skipIf(process.getuid?.() !== 0)('can be reached by the root of its user namespace', async () => {
    const linux = { namespaces: [{ type: 'user' }], gidMappings: [{ containerID: 0, hostID: 12_345, size: 1 }] };
    const bundle = await prepare(JSON.stringify({ linux }));
    expect(await modeOf(bundle)).toBe('710');
    expect((await stat(bundle)).gid).toBe(12_345);
  });

  test('is made once', async () => {
    await prepare();
    await expect(prepare()).rejects.toMatchObject({ code: 'ALREADY_EXISTS', message: 'task web: already exists' });
  });

  test('is removed with its work directory, and nothing else is', async () => {
    const bundle = await prepare();
    await writeFile(path.join(bundle, 'work/state'), 'x');
    await removeBundle(bundle, directories, soon());
    expect(await readdir(path.join(directories.state, 'default'))).toEqual([]);
    expect(await readdir(path.join(directories.root, 'default'))).toEqual([]);
    await removeBundle(bundle, directories, soon());
  });

  test('is removed as a shim leaves it, with files that nobody here knows', async () => {
    const bundle = await prepare();
    await writeFile(path.join(bundle, 'init.pid'), '12');
    await removeBundle(bundle, directories, soon());
    expect(await readdir(path.join(directories.state, 'default'))).toEqual([]);
    expect(await readdir(path.join(directories.root, 'default'))).toEqual([]);
  });

  test('is removed with directories in it', async () => {
    const bundle = await prepare();
    await mkdir(path.join(bundle, 'more/below'), { recursive: true });
    await removeBundle(bundle, directories, soon());
    expect(await readdir(path.join(directories.state, 'default'))).toEqual([]);
  });

  test.skipIf(process.getuid?.() !== 0).each(['rootfs', 'log'])(
    'is removed without what is mounted on its %s',
    async (name) => {
      const bundle = await prepare();
      const precious = path.join(top, 'precious');
      if (name === 'log') await writeFile(precious, 'x');
      else {
        await mkdir(precious);
        await writeFile(path.join(precious, 'x'), 'x');
      }
      execFileSync('mount', ['--bind', precious, path.join(bundle, name)]);
      await removeBundle(bundle, directories, soon());
      expect(await readdir(path.join(directories.state, 'default'))).toEqual([]);
      expect(await readFile(name === 'log' ? precious : path.join(precious, 'x'), 'utf8')).toBe('x');
    },
  );

  test('is removed without following a work link that leads elsewhere', async () => {
    const bundle = await prepare();
    const precious = path.join(top, 'precious');
    await mkdir(precious);
    await rm(path.join(bundle, 'work'));
    await symlink(precious, path.join(bundle, 'work'));
    await removeBundle(bundle, directories, soon());
    expect((await stat(precious)).isDirectory()).toBe(true);
  });

  test('that was half removed is swept', async () => {
    await prepare();
    await mkdir(path.join(directories.state, 'default/.removed-old-1234/rootfs'), { recursive: true });
    await sweepRemoved(directories, soon());
    expect(await readdir(path.join(directories.state, 'default'))).toEqual(['web']);
  });

  test('keeps its processes', async () => {
    const bundle = await prepare();
    const exec = parseExecId('one');
    appendProcess(bundle, { pid: 10, stdio });
    appendProcess(bundle, { exec, pid: 0, stdio });
    appendProcess(bundle, { exec, pid: 11, stdio });
    await writeFile(path.join(bundle, 'processes.jsonl'), '{"exec":"tw', { flag: 'a' });
    expect(await readProcesses(bundle)).toEqual([
      { pid: 10, stdio },
      { exec, pid: 11, stdio },
    ]);
  });

  test('of a shared shim has an empty spec', async () => {
    const bundle = prepareShimBundle(directories, record.namespace, parseShimId('s1'));
    expect(bundle).toBe(path.join(directories.state, 'default/.shims/s1'));
    expect(await readFile(path.join(bundle, 'config.json'), 'utf8')).toBe('{}');
    expect(await modeOf(bundle)).toBe('700');
  });

  test('of an older shim tells its address in a file of its own, which is migrated', async () => {
    const bundle = await prepare();
    expect(await readBootstrap(bundle)).toBeUndefined();
    await writeFile(path.join(bundle, 'address'), 'unix:///run/containerd/s/abc');
    const bootstrap = { version: 2, address: 'unix:///run/containerd/s/abc', protocol: 'ttrpc' };
    expect(await readBootstrap(bundle)).toEqual(bootstrap);
    expect(JSON.parse(await readFile(path.join(bundle, 'bootstrap.json'), 'utf8'))).toEqual(bootstrap);
    await chmod(path.join(bundle, 'address'), 0o600);
    writeShimBinaryPath(bundle, '/usr/bin/shim');
    expect(await readShimBinaryPath(bundle)).toBe('/usr/bin/shim');
  });
});
