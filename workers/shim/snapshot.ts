import type { ExecId } from '../../src/shared/identifiers.ts';
import type { ProcessSnapshot, Stdio, TaskStatus } from '../../src/shared/messages/index.ts';
import type { containerd } from '../../src/shared/proto/gen/task.js';
import { plainTimestamp } from '../../src/shared/wire/timestamp.ts';

/** In the order of their numbers on the wire. */
const statuses: readonly TaskStatus[] = ['unknown', 'created', 'running', 'stopped', 'paused', 'pausing'];

/** What a shim says of a process, with the stdio that the client gave. */
export function snapshotOf(
  state: containerd.task.v2.StateResponse,
  process: { readonly exec?: ExecId | undefined; readonly stdio: Stdio },
): ProcessSnapshot {
  const status = statuses[state.status] ?? 'unknown';
  const exitedAt = status === 'stopped' ? plainTimestamp(state.exitedAt) : undefined;
  const { pid } = state;
  return {
    ...(process.exec === undefined ? {} : { exec: process.exec }),
    pid,
    status,
    stdio: process.stdio,
    ...(exitedAt === undefined ? {} : { exit: { pid, status: state.exitStatus, exitedAt } }),
  };
}
