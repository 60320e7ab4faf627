import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { containerd } from '../shared/proto/gen/task.js';
import { CgroupMembership } from './cgroup-membership.ts';
import type { CommandLine } from './command-line.ts';
import { now, type ProcessExit } from './exit-latch.ts';
import { killMembers } from './kill-members.ts';
import { MarkerMembership } from './marker-membership.ts';
import type { Membership, RecordedMembership } from './membership.ts';
import { isAlive } from './process-table.ts';
import { sendSignal, signals } from './signals.ts';
import { exitedAt } from './task-events.ts';
import { readTaskRecord } from './task-record.ts';

const killBudget = 4_000;

/** The status that a killed process is given where nobody saw how it ended. */
const killedStatus = 128 + signals.SIGKILL;

/**
 * The `delete` action: ends whatever a dead shim left of the bundle's task, and says how its init ended: as the shim
 * recorded it, else killed. A bundle without a task is fine: its create failed early.
 */
export async function deleteAction(commandLine: CommandLine): Promise<Uint8Array> {
  const bundle = bundleOf(commandLine);
  const record = readTaskRecord(bundle);
  let exit: ProcessExit = { status: killedStatus, at: now() };
  if (record !== undefined) {
    if (record.exit !== undefined) exit = record.exit;
    const isInitAlive = isAlive(record.pid, record.startTime);
    if (isInitAlive) sendSignal(record.pid, signals.SIGKILL);
    const membership = membershipOf(record.membership, [record.pid, record.startTime]);
    await membership.thaw();
    const left = await killMembers(membership, killBudget);
    if (left.length > 0)
      throw new Error(`processes ${left.join(', ')} of ${bundle} outlive SIGKILL; repeat when they are gone`);
    await membership.remove();
    rmSync(path.join(bundle, 'process-shim.json'), { force: true });
  }
  const { DeleteResponse } = containerd.task.v2;
  return DeleteResponse.encode({ pid: record?.pid ?? 0, exitStatus: exit.status, exitedAt: exitedAt(exit) }).finish();
}

function bundleOf({ bundle, id }: CommandLine): string {
  const here = path.resolve(bundle || '.');
  const sibling = path.join(path.dirname(here), id);
  return id !== '' && path.basename(here) !== id && !id.includes('/') && existsSync(sibling) ? sibling : here;
}

function membershipOf(recorded: RecordedMembership, init: readonly [pid: number, startTime: number]): Membership {
  return recorded.kind === 'cgroup' ? new CgroupMembership(recorded) : new MarkerMembership(recorded.marker, [init]);
}
