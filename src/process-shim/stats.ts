import { io } from '../shared/proto/gen/metrics.js';
import type { Any } from '../shared/wire/any.ts';
import type { CgroupLimits } from './cgroup-limits.ts';
import { processStat } from './process-table.ts';

const microsecondsPerTick = 10_000;
const pageSize = 4096;

/**
 * What the processes use now, in the form of cgroup metrics (version 2). CPU time is that of the processes that are
 * there and of the children they have waited for; memory is the sum of their resident sets. Limits, and what they held
 * back, are there as far as an update has set them.
 */
export function statsOf(pids: readonly number[], limits?: CgroupLimits): Any {
  let userTicks = 0;
  let systemTicks = 0;
  let resident = 0;
  let threads = 0;
  let minorFaults = 0;
  let majorFaults = 0;
  for (const pid of pids) {
    const stat = processStat(pid);
    if (stat === undefined) continue;
    userTicks += stat.userTicks + stat.childUserTicks;
    systemTicks += stat.systemTicks + stat.childSystemTicks;
    resident += stat.residentPages * pageSize;
    threads += stat.threads;
    minorFaults += stat.minorFaults;
    majorFaults += stat.majorFaults;
  }
  const value = io.containerd.cgroups.v2.Metrics.encode({
    pids: { current: threads, ...given('limit', limitOf(limits?.read('pids', 'pids.max'))) },
    cpu: {
      usageUsec: (userTicks + systemTicks) * microsecondsPerTick,
      userUsec: userTicks * microsecondsPerTick,
      systemUsec: systemTicks * microsecondsPerTick,
      ...throttlingOf(limits),
    },
    memory: {
      usage: resident,
      anon: resident,
      pgfault: minorFaults + majorFaults,
      pgmajfault: majorFaults,
      ...given(
        'usageLimit',
        limitOf(limits?.read('memory', limits.version === 1 ? 'memory.limit_in_bytes' : 'memory.max')),
      ),
    },
    ...killsOf(limits),
  }).finish();
  return { typeUrl: 'io.containerd.cgroups.v2.Metrics', value };
}

/** What version 1 has for no limit: the highest number of pages in bytes. */
const noLimit = 2 ** 62;

function limitOf(text: string | undefined): number | undefined {
  const value = Number(text);
  return text === undefined || !(value >= 0) || value >= noLimit ? undefined : value;
}

function given<Key extends string>(key: Key, value: number | undefined): { [K in Key]?: number } {
  const found: { [K in Key]?: number } = {};
  if (value !== undefined) found[key] = value;
  return found;
}

/** The number behind `name` in a file of a name and a number a line. */
function entry(text: string | undefined, name: string): number | undefined {
  const found = new RegExp(`^${name} (\\d+)$`, 'm').exec(text ?? '')?.[1];
  return found === undefined ? undefined : Number(found);
}

function throttlingOf(limits: CgroupLimits | undefined) {
  const stat = limits?.read('cpu', 'cpu.stat');
  const nanoseconds = entry(stat, 'throttled_time');
  return {
    ...given('nrPeriods', entry(stat, 'nr_periods')),
    ...given('nrThrottled', entry(stat, 'nr_throttled')),
    ...given(
      'throttledUsec',
      nanoseconds === undefined ? entry(stat, 'throttled_usec') : Math.round(nanoseconds / 1000),
    ),
  };
}

function killsOf(limits: CgroupLimits | undefined) {
  const text = limits?.read('memory', limits.version === 1 ? 'memory.oom_control' : 'memory.events');
  const oomKill = entry(text, 'oom_kill');
  return oomKill === undefined ? {} : { memoryEvents: { oomKill } };
}
