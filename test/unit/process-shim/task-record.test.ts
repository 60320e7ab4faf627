import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readTaskRecord, writeTaskRecord } from '../../../src/process-shim/task-record.ts';

let bundle: string;

beforeEach(() => {
  bundle = mkdtempSync(path.join(tmpdir(), 'task-record-'));
});
afterEach(() => rmSync(bundle, { recursive: true }));

it('gives back what was written last', () => {
  expect(readTaskRecord(bundle)).toBeUndefined();
  const record = { init: { pid: 10, startTime: 5 }, membership: { kind: 'marker', marker: 'abc' } } as const;
  writeTaskRecord(bundle, record);
  expect(readTaskRecord(bundle)).toEqual(record);
  writeTaskRecord(bundle, { ...record, exit: { status: 3, at: 1.5 } });
  expect(readTaskRecord(bundle)?.exit).toEqual({ status: 3, at: 1.5 });
});

it.each([
  '{',
  'null',
  '{"init":{"pid":0,"startTime":1},"membership":{"kind":"marker","marker":"a"}}',
  '{"init":{"pid":-1,"startTime":1},"membership":{"kind":"marker","marker":"a"}}',
  '{"init":{"pid":1,"startTime":1},"membership":{"kind":"marker","marker":"a"}}',
  '{"init":{"pid":5,"startTime":1},"membership":{"kind":"marker","marker":""}}',
  '{"init":{"pid":5,"startTime":1},"membership":{"kind":"cgroup","directory":"/sys/fs/cgroup/freezer"}}',
  '{"init":{"pid":5,"startTime":1},"membership":{"kind":"cgroup","directory":"/c/shimd-process-1","limits":{"cpu":"/sys/fs/cgroup/cpu"}}}',
  '{"init":{"pid":5,"startTime":1}}',
])('takes %s for no record: what it names would be killed', (text) => {
  writeFileSync(path.join(bundle, 'process-shim.json'), text);
  expect(readTaskRecord(bundle)).toBeUndefined();
});
