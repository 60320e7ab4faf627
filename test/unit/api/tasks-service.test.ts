import { describe, expect, test } from 'vitest';
import type { TaskCreation, TaskProcess } from '../../../src/api/index.ts';
import { notFound, TaskError } from '../../../src/shared/errors/index.ts';
import { tasksDefinition as tasks } from '../../../src/shared/grpc/index.ts';
import { type ProcessRef, parseExecId, parseTaskId } from '../../../src/shared/identifiers.ts';
import { deferred } from '../../../src/shared/util/deferred.ts';
import { createContainer, namespace, secondsOf, serve, spec } from './fixture.ts';

const stdio = { stdin: '', stdout: '/run/out', stderr: '/run/err', terminal: false };

function task(id: string, more: Partial<TaskProcess> = {}): TaskProcess {
  return {
    namespace,
    task: parseTaskId(id),
    runtime: 'io.containerd.runc.v2',
    pid: 42,
    status: 'running',
    stdio,
    ...more,
  };
}

describe('Tasks', () => {
  test('creates a task from its container, with the runtime and options of the task where it has them', async () => {
    const requests: TaskCreation[] = [];
    const { client } = await serve({
      create: async (_, request) => {
        requests.push(request);
        return { pid: 7 };
      },
      // A restore from a directory is started, too.
      start: async () => ({ pid: 8 }),
    });
    const options = { type_url: 'containerd.runc.v1.Options', value: Buffer.from([]) };
    await createContainer(client, 'one', { runtime: { name: 'io.containerd.runc.v2', options }, sandbox: 'pod' });
    expect(await client.call(tasks.create, { containerId: 'one', ...stdio })).toMatchObject({
      containerId: 'one',
      pid: 7,
    });
    await client.call(tasks.create, {
      containerId: 'one',
      runtimePath: '/usr/bin/shim',
      options: { type_url: 'other', value: Buffer.from([1]) },
      rootfs: [{ type: 'bind', source: '/a', options: ['ro'] }],
      checkpoint: { annotations: { RestoreFromPath: '/checkpoint' } },
    });
    expect(requests).toEqual([
      {
        runtime: 'io.containerd.runc.v2',
        spec: Uint8Array.from(Buffer.from('{}')),
        rootfs: [],
        stdio,
        options: { typeUrl: options.type_url, value: Buffer.alloc(0) },
        sandbox: { id: 'pod', isKnown: false },
      },
      {
        runtime: '/usr/bin/shim',
        spec: Uint8Array.from(Buffer.from('{}')),
        rootfs: [{ type: 'bind', source: '/a', target: '', options: ['ro'] }],
        stdio: { stdin: '', stdout: '', stderr: '', terminal: false },
        options: { typeUrl: 'other', value: Buffer.from([1]) },
        checkpoint: '/checkpoint',
        rootfsDiff: '/rootfs-diff.tar',
        sandbox: { id: 'pod', isKnown: false },
      },
    ]);
  });

  test.each([
    ['a container that is not there', { containerId: 'two' }, 'NOT_FOUND'],
    ['an id that is a path', { containerId: '../x' }, 'INVALID_ARGUMENT'],
    ['a stream that is a relative path', { containerId: 'one', stdout: 'out' }, 'INVALID_ARGUMENT'],
    ['a checkpoint image', { containerId: 'one', checkpoint: { mediaType: 'x' } }, 'UNIMPLEMENTED'],
    [
      'a directory that is no absolute path',
      { containerId: 'one', checkpoint: { annotations: { RestoreFromPath: '../x' } } },
      'INVALID_ARGUMENT',
    ],
    [
      'options that cannot be read',
      { containerId: 'one', options: { type_url: 'containerd.runc.v1.Options', value: Buffer.from([255]) } },
      'INVALID_ARGUMENT',
    ],
  ])('refuses to create a task of %s', async (_, request, code) => {
    const { client } = await serve();
    await createContainer(client, 'one');
    await expect(client.call(tasks.create, request)).rejects.toMatchObject({ code });
  });

  test('shows a process by its container’s id, an exec by its own, with streams and exit', async () => {
    const exec = parseExecId('e1');
    const { client } = await serve({
      get: async (ref: ProcessRef) =>
        ref.exec === undefined
          ? task('one')
          : task('one', {
              exec,
              status: 'stopped',
              exit: { pid: 42, status: 3, exitedAt: { seconds: 1_700_000_000, nanos: 5 } },
            }),
    });
    expect((await client.call(tasks.get, { containerId: 'one' })).process).toMatchObject({
      id: 'one',
      containerId: '',
      pid: 42,
      status: 2,
      ...stdio,
      exitStatus: 0,
    });
    const { process } = await client.call(tasks.get, { containerId: 'one', execId: 'e1' });
    expect(process).toMatchObject({ id: 'e1', status: 3, exitStatus: 3 });
    expect(secondsOf(process?.exitedAt)).toBe(1_700_000_000);
  });

  test('says whether a container or only its task is not there', async () => {
    const { client } = await serve();
    await createContainer(client, 'one');
    await expect(client.call(tasks.get, { containerId: 'one' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'task one not found',
    });
    await expect(client.call(tasks.start, { containerId: 'two' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'container "two" in namespace "default": not found',
    });
  });

  test('keeps to a task whose container’s metadata is gone', async () => {
    const { client } = await serve({
      get: async (ref) => {
        if (ref.exec) throw notFound(`process does not exist ${ref.exec}: not found`);
        return task('one');
      },
    });
    expect((await client.call(tasks.get, { containerId: 'one' })).process?.id).toBe('one');
    await expect(client.call(tasks.get, { containerId: 'one', execId: 'e1' })).rejects.toMatchObject({
      message: 'process does not exist e1: not found',
    });
  });

  test.each([
    ['no filter', '', ['a', 'b']],
    ['a status', 'status==stopped', ['b']],
    ['an id', 'id==a', ['a']],
  ])('lists tasks by %s', async (_, filter, ids) => {
    const { client } = await serve({ list: async () => [task('a'), task('b', { status: 'stopped' })] });
    expect((await client.call(tasks.list, { filter })).tasks.map(({ id }) => id)).toEqual(ids);
  });

  test('answers a delete with how the process ended', async () => {
    const exit = { pid: 9, status: 137, exitedAt: { seconds: 1_700_000_000, nanos: 0 } };
    const { client } = await serve({ delete: async () => exit });
    expect(await client.call(tasks.delete, { containerId: 'one' })).toMatchObject({ id: '', pid: 9, exitStatus: 137 });
    expect(await client.call(tasks.deleteProcess, { containerId: 'one', execId: 'e1' })).toMatchObject({
      id: 'e1',
      exitStatus: 137,
    });
    await expect(client.call(tasks.deleteProcess, { containerId: 'one' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'exec id cannot be empty',
    });
  });

  test.each([
    ['an exec without an id', tasks.exec, { containerId: 'one', spec }, 'exec id cannot be empty'],
    ['an exec without a spec', tasks.exec, { containerId: 'one', execId: 'e1' }, 'exec e1 has no spec'],
    ['an update without resources', tasks.update, { containerId: 'one' }, 'update of task one has no resources'],
  ])('refuses %s', async (_, method, request, message) => {
    const { client } = await serve();
    await expect(client.call(method as typeof tasks.exec, request)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    });
  });

  test('hands on the rest of its methods', async () => {
    const calls: unknown[] = [];
    const record =
      (name: string) =>
      async (...args: unknown[]): Promise<void> => {
        calls.push([name, ...args.slice(0, -1)]);
      };
    const { client } = await serve({
      kill: record('kill'),
      exec: record('exec'),
      resize: record('resize'),
      closeIo: record('closeIo'),
      pause: record('pause'),
      resume: record('resume'),
      update: record('update'),
      checkpoint: record('checkpoint'),
      pids: async () => [{ pid: 1 }, { pid: 2, info: { typeUrl: 'i', value: new Uint8Array([1]) } }],
    });
    const containerId = 'one';
    await client.call(tasks.kill, { containerId, execId: 'e1', signal: 15, all: true });
    await client.call(tasks.exec, { containerId, execId: 'e1', spec, ...stdio });
    await client.call(tasks.resizePty, { containerId, width: 80, height: 24 });
    await client.call(tasks.closeIO, { containerId, stdin: true });
    await client.call(tasks.pause, { containerId });
    await client.call(tasks.resume, { containerId });
    await client.call(tasks.update, { containerId, resources: spec, annotations: { a: 'b' } });
    // containerd.runc.v1.CheckpointOptions with image_path (field 8) "/cp"
    const options = {
      type_url: 'containerd.runc.v1.CheckpointOptions',
      value: Buffer.from([0x42, 3, 0x2f, 0x63, 0x70]),
    };
    await client.call(tasks.checkpoint, { containerId, options });
    const ref = { namespace, task: 'one' };
    const any = { typeUrl: spec.type_url, value: spec.value };
    expect(calls).toEqual([
      ['kill', { ...ref, exec: 'e1' }, { signal: 15, all: true }],
      ['exec', ref, 'e1', { stdio, spec: any }],
      ['resize', ref, { width: 80, height: 24 }],
      ['closeIo', ref, { stdin: true }],
      ['pause', ref],
      ['resume', ref],
      ['update', ref, { resources: any, annotations: { a: 'b' } }],
      ['checkpoint', ref, { path: '/cp', exit: false, options: { typeUrl: options.type_url, value: options.value } }],
    ]);
    const { processes } = await client.call(tasks.listPids, { containerId });
    expect(processes).toMatchObject([{ pid: 1 }, { pid: 2, info: { type_url: 'i' } }]);
  });

  test('collects the metrics that can be had and leaves out the rest', async () => {
    const { client } = await serve({
      list: async () => ['a', 'b', 'c', 'd'].map((id) => task(id)),
      stats: async ({ task: id }, call) => {
        if (id === 'b') throw new TaskError('UNKNOWN', 'cgroup is broken');
        if (id === 'c') throw notFound('task c not found');
        expect(call?.deadline).toBeLessThan(Date.now() + 6_000);
        return { typeUrl: 'metrics', value: new Uint8Array([1]) };
      },
    });
    const { metrics } = await client.call(tasks.metrics, {});
    expect(metrics.map(({ id }) => id)).toEqual(['a', 'd']);
    expect((await client.call(tasks.metrics, { filters: ['id==d'] })).metrics).toMatchObject([
      { id: 'd', data: { type_url: 'metrics' } },
    ]);
  });

  test('tells the supervisor the client’s deadline, and that the client has given up', async () => {
    const seen = deferred<{ deadline: number | undefined; signal: AbortSignal | undefined }>();
    const { client } = await serve({
      wait: (_, call) => {
        seen.resolve({ deadline: call?.deadline, signal: call?.signal });
        return new Promise(() => undefined);
      },
    });
    const before = Date.now();
    await expect(client.call(tasks.wait, { containerId: 'one' }, { budget: 300 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    const { deadline, signal } = await seen.promise;
    expect(deadline).toBeGreaterThan(before);
    expect(deadline).toBeLessThan(before + 1_000);
    await expect.poll(() => signal?.aborted).toBe(true);
  });

  test('passes a runtime’s text on, also where it is very long or no proper text', async () => {
    const texts = [
      'runc: permission denied\nline two ☃ 100%',
      `${'x'.repeat(100_000)}: executable file not found`,
      'half \uD83D',
    ];
    const { client } = await serve({
      start: async () => {
        throw new TaskError('UNKNOWN', texts.shift() ?? '');
      },
    });
    const failed = (match: RegExp) =>
      expect(client.call(tasks.start, { containerId: 'one' })).rejects.toMatchObject({
        code: 'UNKNOWN',
        message: expect.stringMatching(match),
      });
    await failed(/^runc: permission denied\nline two ☃ 100%$/);
    await failed(/^x+ \[\.\.\.\] x+: executable file not found$/);
    await failed(/^half \uFFFD$/);
  });

  test('turns an unexpected exception into UNKNOWN and lives on', async () => {
    const { client } = await serve({
      start: () => {
        throw new TypeError('undefined is not a function');
      },
    });
    await expect(client.call(tasks.start, { containerId: 'one' })).rejects.toMatchObject({ code: 'UNKNOWN' });
    await expect(client.call(tasks.get, { containerId: 'one' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
