// What is measured, and what shimd is to reach. A goal is a number of the figure's own unit, or a share of containerd's.
const atMost = (value) => ({ met: (own) => own <= value, text: (unit) => `≤ ${value} ${unit}` });
const atLeast = (value) => ({ met: (own) => own >= value, text: (unit) => `≥ ${value} ${unit}` });
const ratioAtMost = (share) => ({ met: (_, ratio) => ratio <= share, text: () => `≤ ${share}×` });
const ratioAtLeast = (share) => ({ met: (_, ratio) => ratio >= share, text: () => `≥ ${share}×` });
const both = (goal) => ({ shared: goal, 'per-task': goal });

/** `better` says which way is good; `goals` is by placement. */
export const figures = [
  {
    id: 'lifecycle',
    label: 'create → start → exit → delete, one at a time',
    unit: 'ms',
    better: 'less',
    goals: { shared: ratioAtMost(0.45), 'per-task': ratioAtMost(0.75) },
  },
  { id: 'lifecycleCpu', label: '  processor time of the daemon in it', unit: 'ms', better: 'less', goals: {} },
  {
    id: 'callers8',
    label: 'the same by 8 callers',
    unit: '/s',
    better: 'more',
    goals: { shared: ratioAtLeast(2), 'per-task': ratioAtLeast(1.3) },
  },
  { id: 'callers32', label: 'the same by 32 callers', unit: '/s', better: 'more', goals: {} },
  { id: 'container', label: 'container record, create and delete', unit: 'ms', better: 'less', goals: {} },
  { id: 'exec', label: 'exec → start → exit → delete', unit: 'ms', better: 'less', goals: {} },
  {
    id: 'taskMemory',
    label: 'memory a running task adds (daemon and shims)',
    unit: 'MB',
    better: 'less',
    goals: { shared: atMost(0.3) },
  },
  { id: 'idleMemory', label: 'idle daemon, new', unit: 'MB', better: 'less', goals: both(atMost(90)) },
  { id: 'idleMemoryAfter', label: 'idle daemon, after the tasks', unit: 'MB', better: 'less', goals: both(atMost(90)) },
  { id: 'idleCpu', label: 'idle daemon, share of one processor', unit: '%', better: 'less', goals: {} },
  {
    id: 'restart',
    label: 'kill -9 with 100 tasks → they are listed',
    unit: 'ms',
    better: 'less',
    goals: both(atMost(350)),
  },
  { id: 'get', label: 'Tasks.Get, p50', unit: 'ms', better: 'less', goals: both(atMost(0.4)) },
  { id: 'getCallers', label: 'Tasks.Get by 16 callers', unit: '/s', better: 'more', goals: both(atLeast(5000)) },
  { id: 'list', label: 'Tasks.List of 100, p50', unit: 'ms', better: 'less', goals: both(atMost(5)) },
  { id: 'exitEvent', label: 'process ends → event, p50', unit: 'ms', better: 'less', goals: {} },
  { id: 'exitEventLate', label: 'process ends → event, p99', unit: 'ms', better: 'less', goals: {} },
  { id: 'killedEvent', label: 'killed from outside → event, p50', unit: 'ms', better: 'less', goals: {} },
];

/** A number as short as it is meaningful. */
export function short(value) {
  if (value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  return size >= 10 ? value.toFixed(1) : value.toFixed(2);
}
