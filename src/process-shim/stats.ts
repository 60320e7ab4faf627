import { io } from '../shared/proto/gen/metrics.js';
import type { Any } from '../shared/wire/any.ts';
import { processStat } from './process-table.ts';

const microsecondsPerTick = 10_000;
const pageSize = 4096;

/**
 * What the processes use now, in the form of cgroup metrics (version 2). CPU time is that of the processes that are
 * there and of the children they have waited for; memory is the sum of their resident sets.
 */
export function statsOf(pids: readonly number[]): Any {
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
    pids: { current: threads },
    cpu: {
      usageUsec: (userTicks + systemTicks) * microsecondsPerTick,
      userUsec: userTicks * microsecondsPerTick,
      systemUsec: systemTicks * microsecondsPerTick,
    },
    memory: { usage: resident, anon: resident, pgfault: minorFaults + majorFaults, pgmajfault: majorFaults },
  }).finish();
  return { typeUrl: 'io.containerd.cgroups.v2.Metrics', value };
}
