import { describe, expect, test } from 'vitest';
import { leasesDefinition as leases, namespacesDefinition as namespaces } from '../../../src/shared/grpc/index.ts';
import { secondsOf, serve } from './fixture.ts';

describe('Leases', () => {
  test('creates a lease, with an id of its own where none is given, and its namespace', async () => {
    const { client } = await serve();
    const { lease } = await client.call(leases.create, {
      labels: { 'containerd.io/gc.expire': '2999-01-01T00:00:00Z' },
    });
    expect(lease?.id).toMatch(/^\d+-[\w-]{4}$/);
    expect(secondsOf(lease?.createdAt)).toBeGreaterThan(1_600_000_000);
    await client.call(leases.create, { id: '1700000000-_-Ab', labels: { kind: 'mine' } });
    await expect(client.call(leases.create, { id: '1700000000-_-Ab' })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: 'lease "1700000000-_-Ab": already exists',
    });
    const { leases: mine } = await client.call(leases.list, { filters: ['labels.kind==mine'] });
    expect(mine.map(({ id }) => id)).toEqual(['1700000000-_-Ab']);
    expect((await client.call(namespaces.list, {})).namespaces.map(({ name }) => name)).toEqual(['default']);
    await client.call(leases.delete, { id: '1700000000-_-Ab', sync: true });
    await expect(client.call(leases.delete, { id: '1700000000-_-Ab' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'lease "1700000000-_-Ab": not found',
    });
  });

  test('lets a lease expire', async () => {
    const { client } = await serve();
    await client.call(leases.create, { id: 'old', labels: { 'containerd.io/gc.expire': '2001-01-01T00:00:00Z' } });
    expect((await client.call(leases.list, {})).leases).toEqual([]);
    await client.call(leases.create, { id: 'old' });
  });

  test('keeps the resources of a lease', async () => {
    const { client } = await serve();
    await client.call(leases.create, { id: 'lease' });
    const snapshot = { id: 'a', type: 'snapshots/overlayfs' };
    await client.call(leases.addResource, { id: 'lease', resource: snapshot });
    await client.call(leases.addResource, { id: 'lease', resource: snapshot });
    await client.call(leases.addResource, { id: 'lease', resource: { id: 'b', type: 'content' } });
    await client.call(leases.deleteResource, { id: 'lease', resource: { id: 'b', type: 'content' } });
    expect((await client.call(leases.listResources, { id: 'lease' })).resources).toMatchObject([snapshot]);
    await expect(
      client.call(leases.addResource, { id: 'lease', resource: { id: 'c', type: 'wishes' } }),
    ).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    await expect(client.call(leases.listResources, { id: 'none' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'lease "none": not found',
    });
  });
});
