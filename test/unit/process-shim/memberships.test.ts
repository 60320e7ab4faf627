import { existsSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseCommandLine } from '../../../src/process-shim/command-line.ts';
import { deleteAction } from '../../../src/process-shim/delete-action.ts';
import { Memberships } from '../../../src/process-shim/memberships.ts';
import { readTaskRecord } from '../../../src/process-shim/task-record.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';

let bundle: string;

beforeEach(() => {
  bundle = mkdtempSync(path.join(tmpdir(), 'memberships-'));
});
afterEach(() => rmSync(bundle, { recursive: true }));

const remove = () => deleteAction(parseCommandLine(['-namespace', 'ns', '-id', 't', '-bundle', bundle, 'delete']));

const directoryOf = (membership: ReturnType<Memberships['create']>): string | undefined =>
  membership.recorded.kind === 'cgroup' ? membership.recorded.directory : undefined;

it('tells the delete action what a shim made that died before it had a process', async () => {
  const membership = new Memberships(silentLogger).create(bundle);
  expect(readTaskRecord(bundle)).toEqual({ membership: membership.recorded });
  const directory = directoryOf(membership);
  expect(directory === undefined || existsSync(directory)).toBe(true);
  await remove();
  expect(directory !== undefined && existsSync(directory)).toBe(false);
  expect(readTaskRecord(bundle)).toBeUndefined();
});

it('tells it of what was not made yet as well', async () => {
  const membership = new Memberships(silentLogger).create(bundle);
  const directory = directoryOf(membership);
  if (directory !== undefined) rmdirSync(directory);
  await remove();
  expect(readTaskRecord(bundle)).toBeUndefined();
});
