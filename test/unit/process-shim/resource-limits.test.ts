import { describe, expect, it } from 'vitest';
import { controlFiles, parseLimits } from '../../../src/process-shim/resource-limits.ts';

const filesOf = (resources: object, version: 1 | 2) =>
  controlFiles(parseLimits(JSON.stringify(resources)), version).map(({ name, value }) => `${name}=${value}`);

describe('the limits of an update', () => {
  const all = {
    memory: { limit: 64 << 20, swap: 96 << 20, reservation: 32 << 20 },
    cpu: { shares: 512, quota: 50_000, period: 100_000 },
    pids: { limit: 20 },
  };

  it('are written into the files of cgroup version 1', () => {
    expect(filesOf(all, 1)).toEqual([
      'memory.limit_in_bytes=67108864',
      'memory.memsw.limit_in_bytes=100663296',
      'memory.soft_limit_in_bytes=33554432',
      'cpu.shares=512',
      'cpu.cfs_period_us=100000',
      'cpu.cfs_quota_us=50000',
      'pids.max=20',
    ]);
  });

  it('are written into the files of cgroup version 2, where swap does not count memory and shares are weights', () => {
    expect(filesOf(all, 2)).toEqual([
      'memory.max=67108864',
      'memory.swap.max=33554432',
      'memory.low=33554432',
      'cpu.weight=20',
      'cpu.max=50000 100000',
      'pids.max=20',
    ]);
    expect(filesOf({ cpu: { shares: 2 } }, 2)).toEqual(['cpu.weight=1']);
    expect(filesOf({ cpu: { shares: 262_144 } }, 2)).toEqual(['cpu.weight=10000']);
  });

  it('are lifted by -1', () => {
    const lifted = { memory: { limit: -1, swap: -1 }, cpu: { quota: -1 }, pids: { limit: -1 } };
    expect(filesOf(lifted, 1)).toEqual([
      'memory.limit_in_bytes=-1',
      'memory.memsw.limit_in_bytes=-1',
      'cpu.cfs_quota_us=-1',
      'pids.max=max',
    ]);
    expect(filesOf(lifted, 2)).toEqual(['memory.max=max', 'memory.swap.max=max', 'cpu.max=max', 'pids.max=max']);
  });

  it('stay as they are where they are absent, 0 or empty, as clients write what they do not mean', () => {
    const nothing = {
      memory: { limit: 0, swappiness: null, kernel: 0 },
      cpu: { shares: 0, cpus: '' },
      blockIO: { weight: 0 },
    };
    expect(filesOf(nothing, 1)).toEqual([]);
    expect(filesOf({ ...nothing, devices: [] }, 2)).toEqual([]);
    expect(filesOf({}, 1)).toEqual([]);
  });

  it('are refused where this runtime cannot set them, all of them in one message', () => {
    const more = {
      memory: { limit: 1, swappiness: 7 },
      cpu: { cpus: '0' },
      blockIO: { weight: 10 },
      hugepageLimits: [{ limit: 1 }],
    };
    expect(() => parseLimits(JSON.stringify(more))).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('asks for memory.swappiness, cpu.cpus, blockIO, hugepageLimits'),
      }),
    );
  });

  it.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['a fraction', '{"memory":{"limit":1.5}}'],
    ['text', '{"pids":{"limit":"many"}}'],
    ['less than none', '{"memory":{"limit":-2}}'],
    ['shares below the least', '{"cpu":{"shares":1}}'],
    ['a period below the least', '{"cpu":{"period":-1}}'],
    ['swap without memory', '{"memory":{"swap":4096}}'],
    ['swap below memory', '{"memory":{"limit":8192,"swap":4096}}'],
  ])('are refused where they are %s', (_, text) => {
    expect(() => parseLimits(text)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});
