import { describe, expect, test } from 'vitest';
import type { Envelope } from '../../../src/events/index.ts';
import { unavailable } from '../../../src/shared/errors/index.ts';
import {
  containersDefinition,
  eventsDefinition as events,
  namespacesDefinition as namespaces,
} from '../../../src/shared/grpc/index.ts';
import { createContainer, secondsOf, serve } from './fixture.ts';

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
