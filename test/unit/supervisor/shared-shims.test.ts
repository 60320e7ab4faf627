import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TaskError } from '../../../src/shared/errors/index.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import type { Operation } from '../../../src/shared/messages/index.ts';
import { deferred } from '../../../src/shared/util/deferred.ts';
import { defaultPlacement } from '../../../src/supervisor/placement-config.ts';
import { Registry } from '../../../src/supervisor/registry.ts';
import { SharedShims } from '../../../src/supervisor/shared-shims.ts';
import { fakeSlot, namespace, shimInfo } from './fixture.ts';

const deadlines = { load: 1e3, cleanup: 1e3, shutdown: 1e3, state: 1e3, metrics: 1e3, start: 1e3, call: 1e3 };
const key = { namespace, binary: '/bin/containerd-shim-runc-v2', cgroup: '' };
const limit = () => ({ deadline: Date.now() + 60_000 });

let registry: Registry;
let answer: (operation: Operation) => unknown;
let slot: ReturnType<typeof fakeSlot>;

const open = (config: Partial<typeof defaultPlacement> = {}, slots = 2) =>
  new SharedShims({
    config: { ...defaultPlacement, ...config },
    registry,
    directories: { root: '/r', state: '/s' },
    deadlines,
    logger: silentLogger,
    chooseSlot: () => slot,
    slots: () => slots,
  });
const asked = (kind: string) => slot.asked.filter((operation) => operation.kind === kind).length;

beforeEach(() => {
  vi.useFakeTimers();
  registry = new Registry();
  answer = (operation) => (operation.kind === 'start-shim' ? shimInfo(operation.start.shim) : {});
  slot = fakeSlot(0, (operation) => answer(operation));
});
afterEach(() => {
  vi.useRealTimers();
});

describe('shared shims', () => {
  it('are started once for creates that come together, and once more where those do not fit', async () => {
    const shims = open({ tasksPerShim: 2 });
    const places = await Promise.all([1, 2, 3].map(() => shims.acquire(key, limit())));
    expect(asked('start-shim')).toBe(2);
    expect(new Set(places.map(({ shim }) => shim)).size).toBe(2);
    const next = await shims.acquire(key, limit());
    expect(asked('start-shim')).toBe(2);
    expect(next.shim).toBe(places[2]?.shim);
  });

  it('are started ahead where creates crowd, one for each slot at most, and end after their grace where nobody needs them', async () => {
    const shims = open({ idleGrace: 1000 });
    const first = await shims.acquire(key, limit());
    const crowd = await Promise.all([1, 2, 3, 4].map(() => shims.acquire(key, limit())));
    expect(asked('start-shim')).toBe(1);
    crowd.push(await shims.acquire(key, limit()));
    await vi.advanceTimersByTimeAsync(1);
    expect(asked('start-shim')).toBe(2);
    const more = await Promise.all(Array.from({ length: 12 }, () => shims.acquire(key, limit())));
    await vi.advanceTimersByTimeAsync(1);
    expect(asked('start-shim')).toBe(2);
    expect(more.filter(({ shim }) => shim !== first.shim).length).toBeGreaterThan(8);
    for (const place of [...crowd, ...more]) place.release();
    await vi.advanceTimersByTimeAsync(1000);
    // The first still has one create under way.
    expect(asked('stop-shim')).toBe(1);
  });

  it('are started ahead where hardly any room is left', async () => {
    const shims = open({ tasksPerShim: 20 }, 1);
    for (let taken = 0; taken < 18; taken += 1) await shims.acquire(key, limit());
    await vi.advanceTimersByTimeAsync(1);
    expect(asked('start-shim')).toBe(1);
    await shims.acquire(key, limit());
    await vi.advanceTimersByTimeAsync(1);
    expect(asked('start-shim')).toBe(2);
  });

  it('are not shared between namespaces, binaries or cgroups', async () => {
    const shims = open();
    await shims.acquire(key, limit());
    await shims.acquire({ ...key, cgroup: '/other' }, limit());
    await shims.acquire({ ...key, binary: '/bin/other' }, limit());
    expect(asked('start-shim')).toBe(3);
  });

  it('end after their grace when they are empty, unless a task comes before', async () => {
    const shims = open({ idleGrace: 1000 });
    const place = await shims.acquire(key, limit());
    place.release();
    await vi.advanceTimersByTimeAsync(999);
    const again = await shims.acquire(key, limit());
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked('stop-shim')).toBe(0);
    again.release();
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked('stop-shim')).toBe(1);
    expect(registry.shims()).toEqual([]);
  });

  it('take no more tasks after so many, and end with the last', async () => {
    const shims = open({ maxTasksPerShimLife: 1, idleGrace: 60_000 });
    const first = await shims.acquire(key, limit());
    const second = await shims.acquire(key, limit());
    expect(second.shim).not.toBe(first.shim);
    first.release();
    await vi.advanceTimersByTimeAsync(1);
    expect(asked('stop-shim')).toBe(1);
  });

  it('that will not be stopped are tried again, less and less often, until they are', async () => {
    let refusals = 3;
    answer = (operation) => {
      if (operation.kind === 'start-shim') return shimInfo(operation.start.shim);
      if (refusals-- > 0) throw new TaskError('FAILED_PRECONDITION', 'it still has 1 tasks');
      return {};
    };
    const shims = open({ idleGrace: 10 });
    (await shims.acquire(key, limit())).release();
    await vi.advanceTimersByTimeAsync(10);
    expect(asked('stop-shim')).toBe(1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked('stop-shim')).toBe(2);
    await vi.advanceTimersByTimeAsync(1999);
    expect(asked('stop-shim')).toBe(2);
    await vi.advanceTimersByTimeAsync(4001);
    expect(asked('stop-shim')).toBe(4);
    expect(registry.shims()).toEqual([]);
  });

  it('end after their grace where the create that they were started for has given up', async () => {
    const started = deferred<void>();
    answer = async (operation) => {
      if (operation.kind !== 'start-shim') return {};
      await started.promise;
      return shimInfo(operation.start.shim);
    };
    const shims = open({ idleGrace: 1000 });
    const caller = new AbortController();
    const waiting = shims.acquire(key, { ...limit(), signal: caller.signal });
    caller.abort(new TaskError('CANCELLED', 'the caller gave up'));
    await expect(waiting).rejects.toThrow('the caller gave up');
    started.resolve();
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked('stop-shim')).toBe(1);
    expect(registry.shims()).toEqual([]);
  });

  it('tell every create that waited when their start fails, and leave nothing', async () => {
    answer = () => {
      throw new TaskError('UNKNOWN', 'no such luck');
    };
    const shims = open();
    const waiting = await Promise.allSettled([shims.acquire(key, limit()), shims.acquire(key, limit())]);
    expect(waiting.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(registry.shims()).toEqual([]);
    answer = (operation) => (operation.kind === 'start-shim' ? shimInfo(operation.start.shim) : {});
    await expect(shims.acquire(key, limit())).resolves.toBeDefined();
  });
});
