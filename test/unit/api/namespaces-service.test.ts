import { describe, expect, test } from 'vitest';
import {
  containersDefinition,
  leasesDefinition as leases,
  namespacesDefinition as namespaces,
} from '../../../src/shared/grpc/index.ts';
import { createContainer, serve } from './fixture.ts';

describe('Namespaces', () => {
  test('creates, shows, changes and deletes a namespace', async () => {
    const { client } = await serve();
    await client.call(namespaces.create, { namespace: { name: 'web', labels: { a: '1', b: '2' } } });
    await expect(client.call(namespaces.create, { namespace: { name: 'web' } })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: 'namespace "web": already exists',
    });
    const update = { namespace: { name: 'web', labels: { c: '3' } }, updateMask: { paths: ['labels.c', 'labels.a'] } };
    await client.call(namespaces.update, update);
    const got = await client.call(namespaces.get, { name: 'web' });
    expect({ ...got.namespace?.labels }).toEqual({ b: '2', c: '3' });
    await client.call(namespaces.update, { namespace: { name: 'web', labels: { d: '4' } } });
    const { namespaces: found } = await client.call(namespaces.list, { filter: 'labels.d==4' });
    expect(found.map(({ name }) => name)).toEqual(['web']);
    await client.call(namespaces.delete, { name: 'web' });
    await expect(client.call(namespaces.delete, { name: 'web' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'namespace "web": not found',
    });
  });

  test('answers for a namespace that is not there as for one without labels', async () => {
    const { client } = await serve();
    expect((await client.call(namespaces.get, { name: 'none' })).namespace).toMatchObject({ name: 'none', labels: {} });
  });

  test('does not delete a namespace with something in it', async () => {
    const { client } = await serve();
    await createContainer(client, 'one');
    await client.call(leases.create, { id: 'lease' });
    await expect(client.call(namespaces.delete, { name: 'default' })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'namespace "default" must be empty, but it still has containers: failed precondition',
    });
    await client.call(containersDefinition.delete, { id: 'one' });
    await client.call(namespaces.delete, { name: 'default' });
    expect((await client.call(leases.list, {})).leases).toEqual([]);
  });

  test.each(['', 'a b', '../x', 'x'.repeat(77), '.hidden'])('refuses the name %j', async (name) => {
    const { client } = await serve();
    await expect(client.call(namespaces.create, { namespace: { name } })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^namespace validation: identifier/),
    });
  });
});
