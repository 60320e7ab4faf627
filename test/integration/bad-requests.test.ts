import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { containersDefinition, tasksDefinition, versionDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../helpers/fixture-shims.ts';
import { specAny } from '../helpers/spec.ts';
import { createContainer, createTask, deleteContainer, endTask, launch } from '../helpers/tasks.ts';
import { makeDirectory, uniqueName } from '../helpers/test-run.ts';

const plain = fixtureRuntime('plain');

describe('a request with', () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await Daemon.start({ programs: [fixtureShims] });
  });

  afterEach(async () => {
    expect(daemon.running).toBe(true);
    await daemon.client.call(versionDefinition.version, {});
    expect(await daemon.settled()).toEqual(nothingLeft);
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  const badIds = [
    ['that climbs out of its directory', '../x'],
    ['of 77 characters', 'x'.repeat(77)],
    ['that is empty', ''],
    ['with a slash', 'a/b'],
    ['that begins with a dot', '.shims'],
    ['with two separators in a row', 'a..b'],
    ['with a zero byte', 'a\0b'],
  ] as const;

  test.each(badIds)('a container id %s is refused', async (_, id) => {
    const container = { id, runtime: { name: plain }, spec: specAny({ id: 'x', args: ['true'] }) };
    expect(await failureOf(daemon.client.call(containersDefinition.create, { container }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  test.each(badIds)('a task id %s finds no way to a file', async (_, id) => {
    const { code } = await failureOf(daemon.client.call(tasksDefinition.create, { containerId: id }));
    expect(['INVALID_ARGUMENT', 'NOT_FOUND']).toContain(code);
  });

  test.each([
    ['that climbs out of its directory', '../x'],
    ['of 77 characters', 'x'.repeat(77)],
    ['with a slash', 'a/b'],
  ])('a namespace %s is refused', async (_, namespace) => {
    const failure = await failureOf(daemon.client.call(tasksDefinition.list, {}, { namespace }));
    expect(failure).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(failure.message).toContain('namespace validation: identifier');
    const container = { id: 'a', runtime: { name: plain }, spec: specAny({ id: 'x', args: ['true'] }) };
    expect(
      await failureOf(daemon.client.call(containersDefinition.create, { container }, { namespace })),
    ).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  test('no namespace is refused', async () => {
    const failure = await failureOf(daemon.client.call(tasksDefinition.list, {}, { namespace: '' }));
    expect(failure).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/namespace is required: failed precondition$/),
    });
  });

  test("a container's id that exists is refused, and the container stays", async () => {
    const id = uniqueName('c');
    await createContainer(daemon, id, { runtime: plain });
    const failure = await failureOf(createContainer(daemon, id, { runtime: plain }));
    expect(failure).toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(failure.message).toMatch(new RegExp(`"${id}".*: already exists$`));
    await deleteContainer(daemon, id);
  });

  test("a task's id that exists is refused, and the task runs on", async () => {
    const id = uniqueName('c');
    const pid = await launch(daemon, id, { runtime: plain });
    const failure = await failureOf(createTask(daemon, id));
    expect(failure).toMatchObject({ code: 'ALREADY_EXISTS', message: expect.stringMatching(/: already exists$/) });
    expect(() => process.kill(pid, 0)).not.toThrow();
    await endTask(daemon, id);
  });

  test('a container without a task, and one that is not there, are told apart from tasks', async () => {
    const id = uniqueName('c');
    const missing = await failureOf(daemon.client.call(tasksDefinition.create, { containerId: id }));
    expect(missing).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining(`"${id}"`) });
    await createContainer(daemon, id, { runtime: plain });
    const none = await failureOf(daemon.client.call(tasksDefinition.start, { containerId: id }));
    expect(none).toMatchObject({ code: 'NOT_FOUND', message: expect.stringMatching(/not found$/) });
    await deleteContainer(daemon, id);
  });

  test.each([
    ['is no JSON', '{"ociVersion": '],
    ['is JSON but no object', '[]'],
    ['is empty', ''],
  ])('a spec that %s is refused before a shim is started', async (_, text) => {
    const id = uniqueName('c');
    const spec = { ...specAny({ id, args: ['true'] }), value: Buffer.from(text) };
    const outcome = await daemon.client
      .call(containersDefinition.create, {
        container: { id, runtime: { name: plain }, spec },
      })
      .then(
        () => failureOf(createTask(daemon, id)),
        (error: unknown) => error,
      );
    expect(outcome).toMatchObject({ code: 'INVALID_ARGUMENT' });
    await deleteContainer(daemon, id).catch(() => undefined);
  });

  test('a container without a runtime is refused', async () => {
    const container = { id: uniqueName('c'), spec: specAny({ id: 'x', args: ['true'] }) };
    expect(await failureOf(daemon.client.call(containersDefinition.create, { container }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('shimd run refuses, with one line and exit code 125,', () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await Daemon.start({ programs: [fixtureShims] });
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  async function expectRefusal(args: readonly string[], ...parts: string[]): Promise<void> {
    const { code, stdout, stderr } = await daemon.shimd(['run', '--rm', '--runtime', plain, ...args]);
    expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    for (const part of parts) expect(stderr).toContain(part);
    expect(stderr).not.toMatch(/ENOENT|\n {4}at /);
    expect((await daemon.shimd(['ps', '--json'])).stdout).not.toContain('"id"');
    expect(await daemon.settled()).toEqual(nothingLeft);
  }

  test('a bundle without config.json', async () => {
    const bundle = makeDirectory();
    await expectRefusal(['--bundle', bundle], bundle, 'config.json');
  });

  test('a bundle whose config.json is no JSON', async () => {
    const bundle = makeDirectory();
    writeFileSync(path.join(bundle, 'config.json'), '{"ociVersion": "1.0.2",');
    await expectRefusal(['--bundle', bundle], 'config.json', 'JSON');
  });

  test('a root file system that is not there', async () => {
    const rootfs = path.join(makeDirectory(), 'none');
    await expectRefusal(['--rootfs', rootfs, '--', '/bin/true'], rootfs);
  });

  test('an id that is none', async () => {
    await expectRefusal(['--id', '../x', '--rootfs', '/', '--', '/bin/true'], '../x');
  });

  test('a runtime that is not installed', async () => {
    await expectRefusal(['--runtime', fixtureRuntime('no-such'), '--rootfs', '/', '--', '/bin/true'], 'not installed');
  });
});

describe.skipIf(process.getuid?.() !== 0)('a full state directory', () => {
  test('fails a create with RESOURCE_EXHAUSTED, leaves nothing, and the next works once there is room', async () => {
    const state = path.join(makeDirectory(), 'state');
    mkdirSync(state);
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m,mode=711', 'tmpfs', state]);
    expect(mount.status).toBe(0);
    try {
      await using daemon = await Daemon.start({ programs: [fixtureShims], state });
      const id = uniqueName('c');
      await createContainer(daemon, id, { runtime: plain });
      const filler = path.join(state, 'filler');
      const { bavail, bsize } = statfsSync(state);
      const room = bavail * bsize;
      try {
        writeFileSync(filler, Buffer.alloc(room));
      } catch {
        // As full as it gets.
      }
      expect(await failureOf(createTask(daemon, id))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
      rmSync(filler);
      expect(await daemon.settled()).toEqual(nothingLeft);
      await createTask(daemon, id);
      await daemon.client.call(tasksDefinition.delete, { containerId: id });
      await deleteContainer(daemon, id);
      expect(await daemon.settled()).toEqual(nothingLeft);
    } finally {
      spawnSync('umount', ['-l', state]);
    }
  });
});
