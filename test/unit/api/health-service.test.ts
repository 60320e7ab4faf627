import { describe, expect, test } from 'vitest';
import { healthDefinition as health } from '../../../src/shared/grpc/index.ts';
import type { Finding } from '../../../src/shared/health.ts';
import { serve } from './fixture.ts';

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
