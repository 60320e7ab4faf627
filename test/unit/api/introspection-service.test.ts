import { describe, expect, test } from 'vitest';
import { introspectionDefinition as introspection } from '../../../src/shared/grpc/index.ts';
import { containerd } from '../../../src/shared/proto/gen/services.js';
import { serve, spec } from './fixture.ts';

describe('Introspection', () => {
  test('tells who the server is, the same over a restart', async () => {
    const { client, store } = await serve();
    const server = await client.call(introspection.server, {}, { namespace: '' });
    expect(server.uuid).toBe(store.instance.uuid);
    expect(String(server.pid)).toBe(String(process.pid));
    expect(String(server.pidns)).toMatch(/^[1-9]\d+$/);
  });

  test('lists what is served and nothing else', async () => {
    const { client } = await serve();
    const { plugins } = await client.call(introspection.plugins, {});
    const names = plugins.map(({ type, id }) => `${type}.${id}`);
    expect(names).toContain('io.containerd.runtime.v2.task');
    expect(names).toContain('io.containerd.grpc.v1.tasks');
    expect(names.filter((name) => /snapshotter|content|images|diff/.test(name))).toEqual([]);
    const { plugins: some } = await client.call(introspection.plugins, { filters: ['type==io.containerd.runtime.v2'] });
    expect(some.map(({ id }) => id)).toEqual(['task']);
  });

  test('tells what a runtime can do', async () => {
    const asked: unknown[] = [];
    const { client } = await serve({
      runtimeInfo: async (request) => {
        asked.push(request);
        const { runtime: name } = request;
        return {
          name,
          version: '1.2',
          revision: 'r',
          features: { typeUrl: 'f', value: Buffer.from([1]) },
          annotations: {},
        };
      },
    });
    const request = containerd.types.RuntimeRequest.encode({ runtimePath: 'io.containerd.runc.v2', options: spec });
    const { extra, plugin } = await client.call(introspection.pluginInfo, {
      type: 'io.containerd.runtime.v2',
      id: 'task',
      options: { type_url: 'containerd.types.RuntimeRequest', value: request.finish() },
    });
    expect(plugin).toMatchObject({ type: 'io.containerd.runtime.v2', id: 'task' });
    expect(extra?.type_url).toBe('containerd.types.RuntimeInfo');
    expect(containerd.types.RuntimeInfo.decode(extra?.value ?? new Uint8Array())).toMatchObject({
      name: 'io.containerd.runc.v2',
      version: { version: '1.2', revision: 'r' },
      features: { type_url: 'f' },
    });
    expect(asked).toEqual([
      { runtime: 'io.containerd.runc.v2', options: { typeUrl: spec.type_url, value: spec.value } },
    ]);
    await expect(client.call(introspection.pluginInfo, { type: 'x', id: 'y' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
