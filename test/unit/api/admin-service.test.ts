import { describe, expect, test } from 'vitest';
import { adminDefinition as admin } from '../../../src/shared/grpc/index.ts';
import { parseNamespace, parseShimId } from '../../../src/shared/identifiers.ts';
import { namespace, secondsOf, serve } from './fixture.ts';

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
