import { describe, expect, test } from 'vitest';
import { namespacesDefinition, sandboxStoreDefinition as sandboxes } from '../../../src/shared/grpc/index.ts';
import type { ApiClient } from '../../helpers/api-client.ts';
import { secondsOf, serve, spec } from './fixture.ts';

const runtime = { name: 'io.containerd.runc.v2', options: { type_url: 'o', value: Buffer.from([1]) } };
const extension = { type_url: 'e', value: Buffer.from([2]) };

function create(client: ApiClient, sandboxId: string, more: object = {}) {
  return client.call(sandboxes.create, { sandbox: { sandboxId, runtime, spec, ...more } });
}

async function idsOf(client: ApiClient, ...filters: string[]): Promise<(string | null | undefined)[]> {
  const { list } = await client.call(sandboxes.list, { filters });
  return list.map(({ sandboxId }) => sandboxId);
}

describe('Sandboxes', () => {
  test('gives back a sandbox as it was created, with times, and makes its namespace', async () => {
    const { client } = await serve();
    const { sandbox } = await create(client, 'pod', {
      labels: { 'a.b/c': 'd', empty: '' },
      extensions: { x: extension },
      sandboxer: 'shim',
    });
    const got = await client.call(sandboxes.get, { sandboxId: 'pod' });
    expect(got.sandbox).toEqual(sandbox);
    expect(got.sandbox).toMatchObject({
      sandboxId: 'pod',
      runtime,
      spec,
      labels: { 'a.b/c': 'd' },
      extensions: { x: extension },
      sandboxer: 'shim',
    });
    expect(got.sandbox?.labels).not.toHaveProperty('empty');
    expect(secondsOf(got.sandbox?.createdAt)).toBeGreaterThan(1_600_000_000);
    const { namespaces } = await client.call(namespacesDefinition.list, {});
    expect(namespaces.map(({ name }) => name)).toEqual(['default']);
  });

  test('takes one without a spec, as some sandboxers have none', async () => {
    const { client } = await serve();
    await create(client, 'pod', { spec: null });
    const { sandbox } = await client.call(sandboxes.get, { sandboxId: 'pod' });
    expect(sandbox?.spec).toBeNull();
  });

  test.each([
    ['no id', { sandboxId: '' }, /identifier must not be empty/],
    ['an id that is a path', { sandboxId: '../x' }, /must match/],
    ['a label that is too long', { labels: { k: 'v'.repeat(4096) } }, /greater than maximum size/],
    ['an extension without a name', { extensions: { '': extension } }, /must not be zero-length/],
  ])('refuses one with %s', async (_, more, message) => {
    const { client } = await serve();
    await expect(create(client, 'pod', more)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
  });

  test('says what is there already, what is not there, and keeps namespaces apart', async () => {
    const { client } = await serve();
    await create(client, 'pod');
    await expect(create(client, 'pod')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const nothing = { code: 'NOT_FOUND', message: expect.stringMatching(/: not found$/) };
    for (const call of [sandboxes.get, sandboxes.delete]) {
      await expect(client.call(call, { sandboxId: 'other' })).rejects.toMatchObject(nothing);
      await expect(client.call(call, { sandboxId: 'pod' }, { namespace: 'elsewhere' })).rejects.toMatchObject(nothing);
    }
    await expect(client.call(sandboxes.update, { sandbox: { sandboxId: 'other' } })).rejects.toMatchObject(nothing);
    expect((await client.call(sandboxes.list, {}, { namespace: 'elsewhere' })).list).toEqual([]);
  });

  test('lists by id and labels, as filters ask, over more than one page', async () => {
    const { client } = await serve();
    const ids = Array.from({ length: 150 }, (_, index) => `pod-${String(index).padStart(3, '0')}`);
    for (const id of ids) await create(client, id, { labels: { last: id.slice(-1) } });
    expect(await idsOf(client)).toEqual(ids);
    expect(await idsOf(client, 'id==pod-077')).toEqual(['pod-077']);
    expect(await idsOf(client, 'labels.last==7')).toHaveLength(15);
    expect(await idsOf(client, 'id==pod-001', 'id==pod-002')).toEqual(['pod-001', 'pod-002']);
    await expect(idsOf(client, 'id==')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test.each([
    [['labels'], { labels: { new: '1' } }],
    [['labels.new'], { labels: { old: '1', new: '1' } }],
    [['labels.old'], { labels: {} }],
    [['extensions'], { extensions: { y: extension } }],
    [['extensions.x'], { extensions: {} }],
    [['spec'], { spec: { type_url: 's2', value: Buffer.from('{"a":1}') } }],
    [['runtime'], { runtime: { name: 'io.other.v1' } }],
  ])('changes what the fields %j name, and nothing else', async (fields, expected) => {
    const { client } = await serve();
    const { sandbox: before } = await create(client, 'pod', { labels: { old: '1' }, extensions: { x: extension } });
    const wanted = {
      sandboxId: 'pod',
      labels: { new: '1' },
      extensions: { y: extension },
      spec: { type_url: 's2', value: Buffer.from('{"a":1}') },
      runtime: { name: 'io.other.v1' },
    };
    await client.call(sandboxes.update, { sandbox: wanted, fields });
    const { sandbox } = await client.call(sandboxes.get, { sandboxId: 'pod' });
    const { updatedAt: _, ...rest } = { ...before, ...expected };
    expect(JSON.parse(JSON.stringify(sandbox))).toMatchObject(JSON.parse(JSON.stringify(rest)));
    expect(sandbox?.labels).toEqual(('labels' in expected ? expected : before)?.labels);
    expect(sandbox?.extensions).toEqual(('extensions' in expected ? expected : before)?.extensions);
  });

  test('without fields changes all but the runtime’s name, and refuses fields that are none', async () => {
    const { client } = await serve();
    await create(client, 'pod', { labels: { old: '1' } });
    const { sandbox } = await client.call(sandboxes.update, {
      sandbox: { sandboxId: 'pod', runtime: { name: runtime.name }, labels: { new: '1' } },
    });
    expect(sandbox).toMatchObject({ labels: { new: '1' }, spec: null, runtime: { options: null } });
    const other = { sandboxId: 'pod', runtime: { name: 'io.other.v1' } };
    await expect(client.call(sandboxes.update, { sandbox: other })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'sandbox.Runtime.Name field is immutable: invalid argument',
    });
    await expect(client.call(sandboxes.update, { sandbox: other, fields: ['id'] })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'cannot update "id" field on sandbox "pod": invalid argument',
    });
  });

  test('deletes, and keeps its namespace from being deleted before', async () => {
    const { client } = await serve();
    await create(client, 'pod');
    await expect(client.call(namespacesDefinition.delete, { name: 'default' })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('sandboxes'),
    });
    await client.call(sandboxes.delete, { sandboxId: 'pod' });
    expect(await idsOf(client)).toEqual([]);
    await client.call(namespacesDefinition.delete, { name: 'default' });
  });
});
