import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { execSpecOf, runtimeOf, specOf } from '../../../src/library/spec.ts';

let scratch = '';
beforeEach(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'shimd-spec-'));
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

test('plain arguments run on the host, a root file system, a bundle or a spec in runc', () => {
  const [id, args] = ['a', ['true']];
  expect(runtimeOf({ id, args })).toBe('io.shimd.process.v1');
  expect(runtimeOf({ id, args, rootfs: '/r' })).toBe('io.containerd.runc.v2');
  expect(runtimeOf({ id, bundle: '/b' })).toBe('io.containerd.runc.v2');
  expect(runtimeOf({ id, spec: {}, runtime: 'process' })).toBe('io.shimd.process.v1');
  expect(runtimeOf({ id, args, runtime: 'io.containerd.runsc.v1' })).toBe('io.containerd.runsc.v1');
  expect(runtimeOf({ id, args, runtime: 'constructor' })).toBe('constructor');
});

test('a process of the host gets PATH and what is given, and the directory of this program', async () => {
  const spec = await specOf({ id: 'a', args: ['true'], env: { A: '1', B: undefined } }, 'ns');
  expect(spec).toMatchObject({ root: { path: '/' }, process: { args: ['true'], cwd: process.cwd() } });
  expect(spec['process']).toMatchObject({ env: [`PATH=${process.env['PATH']}`, 'A=1'] });
  expect(spec).not.toHaveProperty('linux');
});

test('a container gets its options in the terms of the OCI', async () => {
  await mkdir(path.join(scratch, 'real'));
  await symlink('real', path.join(scratch, 'link'));
  const tmp = { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' };
  const spec = await specOf(
    {
      id: 'a',
      args: ['sh'],
      rootfs: path.join(scratch, 'link'),
      readonlyRootfs: true,
      user: { uid: 5, gid: 6, additionalGids: [7] },
      limits: { memory: 1 << 20, cpus: 0.5, pids: 9 },
      mounts: [tmp],
      annotations: { x: 'y' },
    },
    'ns',
  );
  expect(spec).toMatchObject({
    root: { path: path.join(scratch, 'real'), readonly: true },
    process: { cwd: '/', user: { uid: 5, gid: 6, additionalGids: [7] }, noNewPrivileges: true },
    linux: {
      cgroupsPath: '/ns/a',
      resources: { memory: { limit: 1 << 20 }, cpu: { quota: 50_000, period: 100_000 }, pids: { limit: 9 } },
    },
    annotations: { x: 'y' },
  });
  expect(spec['mounts']).toContainEqual(tmp);
});

test('a bundle is freed of its directory, and arguments go over its own', async () => {
  const config = { root: { path: 'rootfs' }, process: { args: ['a'], env: ['A=1', 'B=2'], cwd: '/x' }, other: 1 };
  await writeFile(path.join(scratch, 'config.json'), JSON.stringify(config));
  const spec = await specOf({ id: 'a', bundle: scratch, args: ['b'], env: { B: '3' } }, 'ns');
  expect(spec).toEqual({
    root: { path: path.join(scratch, 'rootfs') },
    process: { args: ['b'], env: ['A=1', 'B=3'], cwd: '/x' },
    other: 1,
  });
});

test('an exec is the process of its task with other arguments', async () => {
  const init = { args: ['a'], env: ['A=1'], cwd: '/x', user: { uid: 5, gid: 5 }, consoleSize: {}, terminal: true };
  await writeFile(path.join(scratch, 'config.json'), JSON.stringify({ process: init }));
  expect(await execSpecOf(scratch, { args: ['b'], cwd: '/y' })).toEqual({
    args: ['b'],
    env: ['A=1'],
    cwd: '/y',
    user: { uid: 5, gid: 5 },
    terminal: false,
  });
  expect(await execSpecOf(scratch, { spec: { args: ['c'] } })).toEqual({ args: ['c'] });
});

test.each([
  ['nothing to run', { id: 'a' }, /nothing to run/],
  ['no arguments', { id: 'a', args: [] }, /nothing to run/],
  ['two sources', { id: 'a', rootfs: '/', spec: {} }, /one of rootfs, bundle and spec/],
  ['arguments beside a spec', { id: 'a', args: ['x'], spec: {} }, /args cannot go with spec/],
  ['limits beside a bundle', { id: 'a', bundle: '/b', limits: {} }, /limits cannot go with bundle/],
  ['a network of its own on the host', { id: 'a', args: ['x'], network: 'none' as const }, /give a rootfs/],
  ['a bundle that is not there', { id: 'a', bundle: '/nonexistent' }, /cannot read the OCI spec/],
])('%s is refused with INVALID_ARGUMENT', async (_, options, message) => {
  const failure = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) };
  await expect(specOf(options, 'ns')).rejects.toMatchObject(failure);
});

test('a root file system that is not there is NOT_FOUND, and named', async () => {
  const failure = { code: 'NOT_FOUND', message: expect.stringContaining('/nonexistent/r') };
  const spec = specOf({ id: 'a', args: ['x'], rootfs: '/nonexistent/r' }, 'ns');
  await expect(spec).rejects.toMatchObject(failure);
});
