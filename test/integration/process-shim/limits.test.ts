import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTaskRecord } from '../../../src/process-shim/task-record.ts';
import { io } from '../../../src/shared/proto/gen/metrics.js';
import { Ground } from './ground.ts';
import { eventually, isRoot, isRunning, nobody } from './host.ts';
import type { Shim } from './shim.ts';

/** Whether the host gives root a hierarchy of version 1 for every controller, as the shim's own tests need it. */
const hasFirst = ['cpu', 'memory', 'pids', 'freezer'].every((name) =>
  existsSync(`/sys/fs/cgroup/${name}/cgroup.procs`),
);
const hasSecond = (() => {
  try {
    const given = readFileSync('/sys/fs/cgroup/cgroup.subtree_control', 'utf8').trim().split(' ');
    return ['cpu', 'memory', 'pids'].every((name) => given.includes(name));
  } catch {
    return false;
  }
})();

const megabytes = (count: number): number => count << 20;

describe.runIf(isRoot && (hasFirst || hasSecond))('limits of a task, by cgroups of its own', () => {
  let ground: Ground;
  let shim: Shim;

  beforeEach(async () => {
    ground = await Ground.open();
    shim = await ground.shim();
  });
  afterEach(() => ground.close());

  const cgroupsOf = (id: string): string[] => {
    const recorded = readTaskRecord(path.join(ground.directory, 'ns', id))?.membership;
    if (recorded?.kind !== 'cgroup') throw new Error(`${id} has no cgroup`);
    return [...new Set([recorded.directory, ...Object.values(recorded.limits ?? {})])];
  };

  /** The text of a control file, under its name in version 1 or 2. */
  const control = (id: string, first: string, second: string): string => {
    const files = cgroupsOf(id).flatMap((directory) => [path.join(directory, first), path.join(directory, second)]);
    const found = files.find((file) => existsSync(file));
    if (found === undefined) throw new Error(`none of ${files.join(', ')} is there`);
    return readFileSync(found, 'utf8').trim();
  };

  const metricsOf = async (id: string) => {
    const { stats } = await shim.stats(id);
    return io.containerd.cgroups.v2.Metrics.decode(stats?.value ?? new Uint8Array());
  };

  it('hold for processes that run already, for execs that come later, and can be changed and lifted', async () => {
    const { pid } = await shim.createOf('t', ['sh', '-c', 'sleep 1000 & sleep 1000']);
    await shim.start('t');
    await eventually('both processes run', async () => (await shim.pids('t')).processes.length === 3);
    await shim.update('t', {
      memory: { limit: megabytes(64) },
      cpu: { quota: 20_000, period: 100_000 },
      pids: { limit: 5 },
    });
    expect(control('t', 'memory.limit_in_bytes', 'memory.max')).toBe(String(megabytes(64)));
    expect(control('t', 'cpu.cfs_quota_us', 'cpu.max')).toMatch(/^20000/);
    expect(control('t', 'pids.max', 'pids.max')).toBe('5');
    const everywhere = (): string[][] =>
      cgroupsOf('t').map((directory) =>
        readFileSync(path.join(directory, 'cgroup.procs'), 'utf8').trim().split('\n').toSorted(),
      );
    const [first, ...rest] = everywhere();
    expect(first).toContain(String(pid));
    expect(first).toHaveLength(3);
    for (const members of rest) expect(members).toEqual(first);

    await shim.exec('t', 'e', { args: ['sleep', '1000'] });
    const { pid: exec } = await shim.start('t', 'e');
    for (const members of everywhere()) expect(members).toContain(String(exec));

    await shim.update('t', { memory: { limit: megabytes(128) }, pids: { limit: -1 } });
    expect(control('t', 'memory.limit_in_bytes', 'memory.max')).toBe(String(megabytes(128)));
    expect(control('t', 'cpu.cfs_quota_us', 'cpu.max')).toMatch(/^20000/);
    expect(control('t', 'pids.max', 'pids.max')).toBe('max');

    const cgroups = cgroupsOf('t');
    await shim.kill('t', 9, { all: true });
    await shim.wait('t');
    await shim.delete('t');
    expect(cgroups.filter((directory) => existsSync(directory))).toEqual([]);
  });

  it('stop a task that starts too many processes', async () => {
    const out = ground.file('out');
    const script = 'read -r _; for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait';
    await shim.createOf(
      't',
      ['bash', '-c', script],
      {},
      { stdin: ground.fifo('in'), stderr: `file://${out}`, stdout: '/dev/null' },
    );
    await shim.start('t');
    await shim.update('t', { pids: { limit: 4 } });
    expect(Number((await metricsOf('t')).pids?.limit)).toBe(4);
    await shim.closeStdin('t');
    // bash goes on trying for a while.
    await eventually('as many run as may', async () => Number((await metricsOf('t')).pids?.current) === 4);
    await eventually('the fifth was refused', () => /fork/.test(readFileSync(out, 'utf8')));
    expect(Number((await metricsOf('t')).pids?.current)).toBe(4);
  });

  it('end a task that takes too much memory, and are told with its statistics', async () => {
    // Touches what it takes: a shell's variable of 200 MB.
    const script = 'read -r _; x=$(head -c 200000000 /dev/zero | tr "\\0" x); echo ${#x}';
    await shim.createOf('t', ['sh', '-c', script], {}, { stdin: ground.fifo('in') });
    await shim.start('t');
    await shim.update('t', { memory: { limit: megabytes(32) } });
    expect(Number((await metricsOf('t')).memory?.usageLimit)).toBe(megabytes(32));
    await shim.closeStdin('t');
    expect(await shim.wait('t')).toMatchObject({ exitStatus: 137 });
    expect(Number((await metricsOf('t')).memoryEvents?.oomKill)).toBeGreaterThan(0);
  });

  it('hold back a task that takes too much CPU time', async () => {
    await shim.createOf('t', ['sh', '-c', 'while :; do :; done']);
    await shim.start('t');
    await shim.update('t', { cpu: { quota: 5_000, period: 100_000 } });
    const metrics = await eventually('it was held back', async () => {
      const seen = await metricsOf('t');
      return Number(seen.cpu?.nrThrottled) > 2 && seen;
    });
    expect(Number(metrics.cpu?.throttledUsec)).toBeGreaterThan(0);
  });

  it('are set back where one of them fails', async () => {
    await shim.createOf('t', ['sleep', '1000']);
    await shim.start('t');
    await shim.update('t', { memory: { limit: megabytes(64) } });
    // The kernel takes periods of up to a second.
    await expect(
      shim.update('t', { memory: { limit: megabytes(32) }, cpu: { period: 100_000_000 } }),
    ).rejects.toMatchObject({ code: 'UNKNOWN', message: expect.stringContaining('the kernel refuses it (EINVAL)') });
    expect(control('t', 'memory.limit_in_bytes', 'memory.max')).toBe(String(megabytes(64)));
  });

  it('are removed with what a dead shim left', async () => {
    const { pid } = await shim.createOf('t', ['sleep', '1000']);
    await shim.start('t');
    await shim.update('t', { memory: { limit: megabytes(64) }, cpu: { shares: 100 }, pids: { limit: 9 } });
    const cgroups = cgroupsOf('t');
    expect(cgroups.filter((directory) => existsSync(directory))).toEqual(cgroups);
    process.kill(shim.pid, 'SIGKILL');
    await eventually('the shim is gone', () => !isRunning(shim.pid));
    await shim.deleteAction('t');
    expect(isRunning(pid)).toBe(false);
    expect(cgroups.filter((directory) => existsSync(directory))).toEqual([]);
  });

  it('are refused where they are none, and for a task that has ended', async () => {
    await shim.createOf('t', ['true']);
    await expect(shim.update('t')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(shim.update('t', { blockIO: { weight: 10 } })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('blockIO'),
    });
    await shim.start('t');
    await shim.wait('t');
    await expect(shim.update('t', { pids: { limit: 9 } })).rejects.toMatchObject({ code: 'UNKNOWN' });
    await expect(shim.update('none', { pids: { limit: 9 } })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('limits of a task in a shim of an ordinary user', () => {
  it('are refused, and the message says what would have them', async () => {
    const ground = await Ground.open(isRoot ? { user: nobody } : {});
    try {
      const shim = await ground.shim();
      await shim.createOf('t', ['sleep', '1000']);
      await shim.start('t');
      if (readTaskRecord(path.join(ground.directory, 'ns', 't'))?.membership.kind === 'cgroup') return;
      await expect(shim.update('t', { memory: { limit: megabytes(64) } })).rejects.toMatchObject({
        code: 'UNIMPLEMENTED',
        message: expect.stringContaining('run it as root'),
      });
      expect((await shim.state('t')).status).toBe(2);
    } finally {
      await ground.close();
    }
  });
});
