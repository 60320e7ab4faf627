import { describe, expect, test } from 'vitest';
import { containersDefinition as containers, namespacesDefinition } from '../../../src/shared/grpc/index.ts';
import { createContainer, secondsOf, serve, spec } from './fixture.ts';

describe('Containers', () => {
  test('gives back a container as it was created, with times, and makes its namespace', async () => {
    const { client } = await serve();
    const { container } = await createContainer(client, 'one', {
      labels: { 'a.b/c': 'd', empty: '' },
      image: 'busybox',
      runtime: { name: 'io.containerd.runc.v2', options: { type_url: 'o', value: Buffer.from([1]) } },
      snapshotter: 'overlayfs',
      snapshotKey: 'one',
      extensions: { x: { type_url: 'e', value: Buffer.from([2]) } },
      sandbox: 'pod',
    });
    const got = await client.call(containers.get, { id: 'one' });
    expect(got.container).toEqual(container);
    expect(got.container).toMatchObject({
      id: 'one',
      labels: { 'a.b/c': 'd' },
      image: 'busybox',
      runtime: { name: 'io.containerd.runc.v2', options: { type_url: 'o', value: Buffer.from([1]) } },
      spec,
      snapshotter: 'overlayfs',
      snapshotKey: 'one',
      extensions: { x: { type_url: 'e', value: Buffer.from([2]) } },
      sandbox: 'pod',
    });
    expect(secondsOf(got.container?.createdAt)).toBeGreaterThan(1_600_000_000);
    expect(got.container?.labels).not.toHaveProperty('empty');
    const { namespaces } = await client.call(namespacesDefinition.list, {});
    expect(namespaces.map(({ name }) => name)).toEqual(['default']);
  });

  test.each([
    ['no id', { id: '' }, /identifier must not be empty/],
    ['an id that is a path', { id: '../x' }, /must match/],
    ['an id of 77 characters', { id: 'x'.repeat(77) }, /greater than maximum length/],
    ['no runtime', { runtime: null }, /container\.Runtime\.Name must be set/],
    ['no spec', { spec: null }, /container\.Spec must be set/],
    ['a snapshot without snapshotter', { snapshotKey: 'k' }, /container\.Snapshotter must be set/],
    ['a label that is too long', { labels: { k: 'v'.repeat(4096) } }, /greater than maximum size/],
    ['an extension without a name', { extensions: { '': spec } }, /must not be zero-length/],
  ])('refuses a container with %s', async (_, more, message) => {
    const { client } = await serve();
    await expect(createContainer(client, 'one', more)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
  });

  test('answers in containerd’s words what is there already, not there, or in no namespace', async () => {
    const { client } = await serve();
    await createContainer(client, 'one');
    await expect(createContainer(client, 'one')).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: 'container "one": already exists',
    });
    await expect(client.call(containers.get, { id: 'two' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'container "two" in namespace "default": not found',
    });
    await expect(client.call(containers.delete, { id: 'two' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'container two: not found',
    });
    await expect(client.call(containers.get, { id: 'one' }, { namespace: '' })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/namespace is required: failed precondition$/),
    });
    await expect(client.call(containers.get, { id: 'one' }, { namespace: 'a/b' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^namespace validation: identifier/),
    });
  });

  test('keeps namespaces apart', async () => {
    const { client } = await serve();
    await createContainer(client, 'one');
    const { containers: found } = await client.call(containers.list, {}, { namespace: 'other' });
    expect(found).toEqual([]);
  });

  test('frees the id of a deleted container', async () => {
    const { client } = await serve();
    await createContainer(client, 'one');
    await client.call(containers.delete, { id: 'one' });
    expect((await createContainer(client, 'one')).container?.id).toBe('one');
  });

  test.each([
    ['id==b', ['b']],
    ['labels.tier==web', ['a', 'c']],
    ['labels."io.x/y"==z', ['c']],
    ['runtime.name~=runc', ['a', 'b', 'c']],
    ['image~=[', []],
    ['image==none', []],
  ])('lists what matches %s', async (filter, ids) => {
    const { client } = await serve();
    await createContainer(client, 'a', { labels: { tier: 'web' }, image: 'busybox' });
    await createContainer(client, 'b', { image: 'debian' });
    await createContainer(client, 'c', { labels: { tier: 'web', 'io.x/y': 'z' } });
    const { containers: found } = await client.call(containers.list, { filters: [filter] });
    expect(found.map(({ id }) => id)).toEqual(ids);
  });

  test('refuses a filter that it cannot read', async () => {
    const { client } = await serve();
    await expect(client.call(containers.list, { filters: ['id=='] })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/filters: parse error: \[/),
    });
    await expect(client.stream(containers.listStream, { filters: ['id=='] }).ended).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  test('streams a list that is too long for one message', async () => {
    const { client, store } = await serve();
    const big = { type_url: 'spec', value: Buffer.alloc(200_000, 'x') };
    for (let i = 0; i < 100; i++) await createContainer(client, `c${i}`, { spec: big });
    await expect(client.call(containers.list, {})).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringMatching(/ListStream/),
    });
    const stream = client.stream(containers.listStream, {});
    await stream.ended;
    expect(new Set(stream.messages.map(({ container }) => container?.id)).size).toBe(100);
    expect(stream.messages.every(({ container }) => container?.spec?.value?.length === 200_000)).toBe(true);
    expect(store.instance.uuid).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('takes a message of nearly 16 MiB and refuses a longer one alone', async () => {
    const { client } = await serve();
    const of = (length: number) => ({ spec: { type_url: 'spec', value: Buffer.alloc(length) } });
    await createContainer(client, 'big', of(16 * 1024 * 1024 - 4096));
    await expect(createContainer(client, 'bigger', of(16 * 1024 * 1024 + 4096))).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
    await createContainer(client, 'small');
  });

  describe('Update', () => {
    const change = { id: 'one', labels: { b: '2' }, image: 'debian', runtime: { name: 'io.containerd.runc.v2' }, spec };

    test('replaces everything that can be changed where no field is named', async () => {
      const { client } = await serve();
      const { container: created } = await createContainer(client, 'one', { labels: { a: '1' }, image: 'busybox' });
      const { container } = await client.call(containers.update, { container: change });
      expect(container).toMatchObject({ labels: { b: '2' }, image: 'debian', createdAt: created?.createdAt });
      expect(container?.labels).not.toHaveProperty('a');
      expect((await client.call(containers.get, { id: 'one' })).container).toEqual(container);
    });

    test('changes only the fields that are named, a label by a key with dots too', async () => {
      const { client } = await serve();
      await createContainer(client, 'one', { labels: { a: '1', 'x.y/z': '2' }, image: 'busybox' });
      const { container } = await client.call(containers.update, {
        container: { id: 'one', labels: { 'x.y/z': '3', ignored: 'yes' }, image: 'debian' },
        updateMask: { paths: ['labels.x.y/z', 'labels.a'] },
      });
      expect(container).toMatchObject({ labels: { 'x.y/z': '3' }, image: 'busybox' });
      expect(Object.keys(container?.labels ?? {})).toEqual(['x.y/z']);
    });

    test('changes an extension, and removes one that comes without a value', async () => {
      const { client } = await serve();
      await createContainer(client, 'one', { extensions: { a: spec, b: spec } });
      const { container } = await client.call(containers.update, {
        container: { id: 'one', extensions: { c: spec } },
        updateMask: { paths: ['extensions.c', 'extensions.a'] },
      });
      expect(Object.keys(container?.extensions ?? {}).toSorted()).toEqual(['b', 'c']);
    });

    test.each([
      [
        'the runtime',
        { ...change, runtime: { name: 'other.runtime.v1' } },
        [],
        /^container\.Runtime\.Name field is immutable/,
      ],
      ['the snapshotter', { ...change, snapshotter: 'overlayfs' }, [], /^container\.Snapshotter field is immutable/],
      ['an unknown field', change, ['sandbox'], /^cannot update "sandbox" field on "one"/],
      ['an unknown map', change, ['runtime.name'], /^cannot update "runtime.name" field on "one"/],
    ])('refuses to change %s', async (_, container, paths, message) => {
      const { client } = await serve();
      await createContainer(client, 'one');
      await expect(client.call(containers.update, { container, updateMask: { paths } })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(message),
      });
    });

    test('answers NOT_FOUND for an unknown container', async () => {
      const { client } = await serve();
      await expect(client.call(containers.update, { container: change })).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: 'container "one": not found',
      });
    });
  });
});
