import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ProcessExit } from './exit-latch.ts';
import type { RecordedMembership } from './membership.ts';

/** What the shim leaves in a task's bundle for the `delete` action, which runs when the shim is gone. */
export interface TaskRecord {
  /** Absent until init is there: what it is to be a member of is written down before that is made. */
  readonly init?: {
    readonly pid: number;
    /** In clock ticks since boot: with the pid it names the process for good. */
    readonly startTime: number;
  };
  readonly membership: RecordedMembership;
  readonly exit?: ProcessExit;
}

const fileName = 'process-shim.json';

/** Written beside and renamed: a reader sees the whole record or the one before. */
export function writeTaskRecord(bundle: string, record: TaskRecord): void {
  const file = path.join(bundle, fileName);
  writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Undefined where the bundle has no record, or one that is damaged. */
export function readTaskRecord(bundle: string): TaskRecord | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path.join(bundle, fileName), 'utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is TaskRecord {
  if (!isObject(value)) return false;
  const init = value['init'];
  const named = isObject(init) && isPositive(init['pid']) && typeof init['startTime'] === 'number';
  if (init !== undefined && !named) return false;
  const membership = value['membership'];
  if (!isObject(membership)) return false;
  const known =
    membership['kind'] === 'cgroup'
      ? isCgroup(membership['directory']) && areCgroups(membership['limits'])
      : membership['kind'] === 'marker' && typeof membership['marker'] === 'string' && membership['marker'] !== '';
  const exit = value['exit'];
  return known && (exit === undefined || (isObject(exit) && typeof exit['status'] === 'number'));
}

/** A record in a bundle is no reason to remove any other directory. */
function isCgroup(value: unknown): boolean {
  return typeof value === 'string' && path.isAbsolute(value) && /\/shimd-process-[0-9a-f]+$/.test(value);
}

function areCgroups(value: unknown): boolean {
  return value === undefined || (isObject(value) && Object.values(value).every(isCgroup));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** 0 and negative numbers would address groups of processes. */
function isPositive(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value > 1;
}
