import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { containerd } from '../shared/proto/gen/task.js';
import { CgroupMembership } from './cgroup-membership.ts';
import type { CommandLine } from './command-line.ts';
import { now, type ProcessExit } from './exit-latch.ts';
import { killMembers } from './kill-members.ts';
import { MarkerMembership } from './marker-membership.ts';
import type { Membership } from './membership.ts';
import { isAlive } from './process-table.ts';
import { sendSignal, signals } from './signals.ts';
import { exitedAt } from './task-events.ts';
import { readTaskRecord, type TaskRecord } from './task-record.ts';

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
    const { init, membership } = record;
    if (init !== undefined && isAlive(init.pid, init.startTime)) sendSignal(init.pid, signals.SIGKILL);
    // It is written down before it is made.
    if (membership.kind !== 'cgroup' || existsSync(membership.directory)) await endMembers(bundle, record);
    rmSync(path.join(bundle, 'process-shim.json'), { force: true });
  }
  const { DeleteResponse } = containerd.task.v2;
  return DeleteResponse.encode({
    pid: record?.init?.pid ?? 0,
    exitStatus: exit.status,
    exitedAt: exitedAt(exit),
  }).finish();
}

function bundleOf({ bundle, id }: CommandLine): string {
  const here = path.resolve(bundle || '.');
  const sibling = path.join(path.dirname(here), id);
  return id !== '' && path.basename(here) !== id && !id.includes('/') && existsSync(sibling) ? sibling : here;
}

async function endMembers(bundle: string, record: TaskRecord): Promise<void> {
  const membership = membershipOf(record);
  await membership.thaw();
  const left = await killMembers(membership, killBudget);
  if (left.length > 0)
    throw new Error(`processes ${left.join(', ')} of ${bundle} outlive SIGKILL; repeat when they are gone`);
  await membership.remove();
}

function membershipOf({ membership, init }: TaskRecord): Membership {
  if (membership.kind === 'cgroup') return new CgroupMembership(membership);
  return new MarkerMembership(membership.marker, init === undefined ? [] : [[init.pid, init.startTime]]);
}
