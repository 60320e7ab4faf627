import { describe, expect, test } from 'vitest';
import type { Envelope } from '../../../src/events/index.ts';
import { unavailable } from '../../../src/shared/errors/index.ts';
import {
  adminDefinition as admin,
  containersDefinition,
  eventsDefinition as events,
  healthDefinition as health,
  introspectionDefinition as introspection,
  leasesDefinition as leases,
  namespacesDefinition as namespaces,
} from '../../../src/shared/grpc/index.ts';
import type { Finding } from '../../../src/shared/health.ts';
import { parseNamespace, parseShimId } from '../../../src/shared/identifiers.ts';
import { containerd } from '../../../src/shared/proto/gen/services.js';
import { createContainer, namespace, secondsOf, serve, spec } from './fixture.ts';

const event = { type_url: 'containerd.events.TaskStart', value: Buffer.from([1]) };

describe('Events', () => {
  test('gives a subscriber what it asked for from the moment its headers came', async () => {
    const { client, exchange } = await serve();
    const stream = client.stream(events.subscribe, { filters: ['namespace==default,topic~=|^/tasks/|'] });
    await expect.poll(() => exchange.subscriberCount).toBe(1);
    await client.call(events.publish, { topic: '/tasks/start', event });
    await client.call(events.publish, { topic: '/images/create', event });
    await client.call(events.publish, { topic: '/tasks/start', event }, { namespace: 'other' });
    await client.call(events.publish, { topic: '/tasks/exit', event });
    await expect.poll(() => stream.messages.length).toBe(2);
    expect(stream.messages).toMatchObject([
      { namespace: 'default', topic: '/tasks/start', event },
      { namespace: 'default', topic: '/tasks/exit', event },
    ]);
    expect(secondsOf(stream.messages[0]?.timestamp)).toBeGreaterThan(1_600_000_000);
  });

  test('forgets a subscriber that is gone', async () => {
    const { client, exchange } = await serve();
    const stream = client.stream(events.subscribe, {});
    await expect.poll(() => exchange.subscriberCount).toBe(1);
    stream.cancel();
    await expect.poll(() => exchange.subscriberCount).toBe(0);
  });

  test('ends a stream with UNAVAILABLE when the exchange closes', async () => {
    const { client, exchange } = await serve();
    const stream = client.stream(events.subscribe, {});
    await expect.poll(() => exchange.subscriberCount).toBe(1);
    exchange.close(unavailable('stopping'));
    await expect(stream.ended).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('delivers every one of very many events to a slow reader, or says that it could not', async () => {
    const { client, exchange } = await serve();
    const stream = client.stream(events.subscribe, {});
    await expect.poll(() => exchange.subscriberCount).toBe(1);
    for (let i = 0; i < 9_000; i++) {
      exchange.publish({
        timestamp: { seconds: i, nanos: 1 },
        namespace: 'default',
        topic: '/tasks/start',
        event: { typeUrl: 'x', value: Buffer.alloc(100) },
      });
    }
    await expect.poll(() => stream.messages.length, { timeout: 10_000 }).toBe(9_000);
    expect(stream.messages.map(({ timestamp }) => secondsOf(timestamp))).toEqual(
      Array.from({ length: 9_000 }, (_, i) => i),
    );
  });

  test.each([
    ['a topic without a slash', { topic: 'tasks/start', event }, /must start with '\/'/],
    ['an event without a type', { topic: '/tasks/start' }, /has no type/],
  ])('refuses to publish %s', async (_, request, message) => {
    const { client } = await serve();
    await expect(client.call(events.publish, request)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
  });

  test('hands a forwarded event to the supervisor', async () => {
    const received: Envelope[] = [];
    const { client } = await serve({ receive: (envelope) => received.push(envelope) });
    const envelope = { timestamp: { seconds: 5, nanos: 6 }, namespace: 'default', topic: '/tasks/oom', event };
    await client.call(events.forward, { envelope });
    expect(received).toMatchObject([{ ...envelope, event: { typeUrl: event.type_url, value: event.value } }]);
    await expect(client.call(events.forward, {})).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(client.call(events.forward, { envelope: { ...envelope, timestamp: null } })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/timestamp must be set/),
    });
  });

  test('tells of containers and namespaces as they come and go', async () => {
    const { client, exchange } = await serve();
    const stream = client.stream(events.subscribe, {});
    await expect.poll(() => exchange.subscriberCount).toBe(1);
    await createContainer(client, 'one', { image: 'busybox' });
    await client.call(containersDefinition.update, {
      container: { id: 'one', image: 'debian' },
      updateMask: { paths: ['image'] },
    });
    await client.call(containersDefinition.delete, { id: 'one' });
    await client.call(namespaces.create, { namespace: { name: 'web' } });
    await client.call(namespaces.delete, { name: 'web' });
    await expect.poll(() => stream.messages.length).toBe(5);
    expect(stream.messages.map(({ topic, namespace: of, event: about }) => [topic, of, about?.type_url])).toEqual([
      ['/containers/create', 'default', 'containerd.events.ContainerCreate'],
      ['/containers/update', 'default', 'containerd.events.ContainerUpdate'],
      ['/containers/delete', 'default', 'containerd.events.ContainerDelete'],
      ['/namespaces/create', 'web', 'containerd.events.NamespaceCreate'],
      ['/namespaces/delete', 'web', 'containerd.events.NamespaceDelete'],
    ]);
  });
});

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

describe('Health', () => {
  test('says that the daemon and its services are serving', async () => {
    const { client } = await serve();
    expect(await client.call(health.check, {})).toMatchObject({ status: 1 });
    const service = 'containerd.services.tasks.v1.Tasks';
    expect(await client.call(health.check, { service })).toMatchObject({ status: 1 });
    await expect(client.call(health.check, { service: 'nobody' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  const failed = (component: string): Finding => ({ component, trouble: { state: 'failed', reason: 'broken' } });
  const tasksName = 'containerd.services.tasks.v1.Tasks';
  const containersName = 'containerd.services.containers.v1.Containers';

  test.each([
    ['the store has', [failed('store'), { component: 'slot/0' }], { '': 2, [tasksName]: 1, [containersName]: 2 }],
    ['every slot has', [failed('slot/0'), failed('slot/1')], { '': 2, [tasksName]: 2, [containersName]: 1 }],
    ['one slot has', [failed('slot/0'), { component: 'slot/1' }], { '': 1, [tasksName]: 1, [containersName]: 1 }],
    ['what a service does not rest on has', [failed('shim/n/s'), failed('api')], { '': 1, [tasksName]: 1 }],
  ])('says which services do not serve where %s failed', async (_, findings, statuses) => {
    const { client } = await serve({}, undefined, () => findings);
    for (const [service, status] of Object.entries(statuses)) {
      const answer = await client.call(health.check, { service });
      expect({ service, status: answer.status }).toEqual({ service, status });
    }
    expect(await client.call(health.check, { service: 'shimd.v1.Admin' })).toMatchObject({ status: 1 });
  });

  test('tells a watcher the status of now and each other one, and that a service is unknown, and stays with it', async () => {
    let findings: Finding[] = [{ component: 'slot/0' }];
    const { client } = await serve({}, undefined, () => findings);
    const tasks = client.stream(health.watch, { service: tasksName });
    const unknown = client.stream(health.watch, { service: 'nobody' });
    const statuses = () => tasks.messages.map(({ status }) => status);
    await expect.poll(statuses).toEqual([1]);
    findings = [failed('slot/0')];
    await expect.poll(statuses).toEqual([1, 2]);
    findings = [{ component: 'slot/0' }];
    await expect.poll(statuses).toEqual([1, 2, 1]);
    expect(unknown.messages).toMatchObject([{ status: 3 }]);
    for (const stream of [tasks, unknown]) {
      stream.cancel();
      await expect(stream.ended).rejects.toMatchObject({ code: 'CANCELLED' });
    }
  });

  test('ends a watch with UNAVAILABLE when the server closes', async () => {
    const { client, server } = await serve();
    const watch = client.stream(health.watch, {});
    await expect.poll(() => watch.messages.length).toBe(1);
    await server.close({ grace: 100 });
    await expect(watch.ended).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('Admin', () => {
  test('tells how each component is, since when and why, and the same in short with what there is', async () => {
    const trouble = { state: 'degraded', reason: 'nearly full', since: 1_700_000_000_000 } as const;
    const { client } = await serve({ counts: () => ({ tasks: 7, owedExits: 2 }) }, undefined, () => [
      { component: 'store', trouble },
      { component: 'slot/0' },
    ]);
    const { state, components } = await client.call(admin.health, {});
    expect(state).toBe('degraded');
    expect(components).toMatchObject([
      { component: 'store', state: 'degraded', reason: 'nearly full' },
      { component: 'slot/0', state: 'ok' },
    ]);
    expect(components.map(({ since }) => secondsOf(since))).toEqual([1_700_000_000, expect.any(Number)]);
    expect(await client.call(admin.info, {})).toMatchObject({
      tasks: 7,
      owedExits: 2,
      problems: ['store: nearly full'],
    });
  });

  test('passes a log on part by part, with what of it was asked for', async () => {
    const asked: unknown[] = [];
    const { client } = await serve({
      shimLog: async function* (of, id, request) {
        asked.push([of, id, request]);
        yield { shim: parseShimId('s1'), content: Buffer.from('one'), dropped: false };
        yield { shim: parseShimId('s1'), content: Buffer.from('two'), dropped: true };
      },
    });
    for (const request of [{ id: 'web' }, { id: 'web', lines: 0, follow: true }, { id: 'web', lines: 3, bytes: 9 }]) {
      const stream = client.stream(admin.shimLog, request);
      await stream.ended;
      expect(stream.messages).toMatchObject([
        { shim: 's1', content: Buffer.from('one'), dropped: false },
        { shim: 's1', content: Buffer.from('two'), dropped: true },
      ]);
    }
    expect(asked).toEqual([
      [namespace, 'web', { follow: false }],
      [namespace, 'web', { lines: 0, follow: true }],
      [namespace, 'web', { lines: 3, bytes: 9, follow: false }],
    ]);
  });

  const exit = { pid: 3, status: 137, exitedAt: { seconds: 9, nanos: 0 } };

  test('deletes a task, by force where asked to', async () => {
    const calls: string[] = [];
    const { client } = await serve({
      delete: async (ref) => {
        calls.push(`delete ${ref.namespace}/${ref.task}`);
        return exit;
      },
      destroy: async (ref) => {
        calls.push(`destroy ${ref.namespace}/${ref.task}`);
        return exit;
      },
    });
    await client.call(admin.deleteTask, { containerId: 'one' });
    expect(await client.call(admin.deleteTask, { containerId: 'one', force: true })).toMatchObject({ exitStatus: 137 });
    expect(calls).toEqual(['delete default/one', 'destroy default/one']);
  });

  test('shows shims and slots and restarts a slot', async () => {
    const restarted: number[] = [];
    const shim = {
      namespace: parseNamespace(namespace),
      id: parseShimId('s1'),
      mode: 'shared' as const,
      binary: '/usr/bin/shim',
      pid: 8,
      address: 'unix:///s',
      protocol: 'ttrpc' as const,
      apiVersion: 2 as const,
      slot: 1,
      tasks: 4,
    };
    const slot = { id: 1, state: 'ready', shims: 1, tasks: 4, operations: 0, restarts: 2 };
    const { client } = await serve({
      shims: () => [shim],
      slots: () => [slot],
      restartSlot: async (id) => {
        restarted.push(id);
      },
    });
    const { mode, ...rest } = shim;
    expect((await client.call(admin.listShims, {})).shims).toMatchObject([{ ...rest, placement: mode }]);
    expect((await client.call(admin.listSlots, {})).slots).toMatchObject([slot]);
    await client.call(admin.restartSlot, { id: 1 });
    expect(restarted).toEqual([1]);
  });
});
