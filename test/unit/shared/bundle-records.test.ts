import { expect, test } from 'vitest';
import {
  formatProcessRecord,
  formatTaskRecord,
  parseProcessRecords,
  parseTaskRecord,
  type TaskRecord,
} from '../../../src/shared/bundle-records.ts';
import { parseExecId, parseNamespace, parseShimId, parseTaskId } from '../../../src/shared/identifiers.ts';

const stdio = { stdin: '/in', stdout: '/out', stderr: '', terminal: false };
const record: TaskRecord = {
  namespace: parseNamespace('default'),
  task: parseTaskId('web'),
  shim: parseShimId('web'),
  mode: 'per-task',
  binary: '/usr/bin/containerd-shim-runc-v2',
  runtime: 'io.containerd.runc.v2',
  stdio,
};

test('a record of a task is read as it was written', () => {
  expect(parseTaskRecord(formatTaskRecord(record))).toEqual(record);
});

test.each(['', '{', 'null', '{"namespace":"../x"}', formatTaskRecord(record).slice(0, 40)])(
  'what is no record of a task is none: %j',
  (text) => {
    expect(parseTaskRecord(text)).toBeUndefined();
  },
);

test('ids that could become paths make a record none', () => {
  expect(parseTaskRecord(JSON.stringify({ ...record, task: '../../etc' }))).toBeUndefined();
});

test('the last line about a process counts, init comes first, cut off lines are skipped', () => {
  const [a, b] = [parseExecId('a'), parseExecId('b')];
  const text = [
    formatProcessRecord({ exec: a, pid: 0, stdio }),
    formatProcessRecord({ exec: b, pid: 0, stdio }),
    formatProcessRecord({ pid: 10, stdio }),
    formatProcessRecord({ exec: a, pid: 11, stdio }),
    formatProcessRecord({ exec: b, pid: 12, stdio, deleted: true }),
    '{"exec":"../x","pid":1}\n',
    '{"exec":"c","pi',
  ].join('');
  expect(parseProcessRecords(text)).toEqual([
    { pid: 10, stdio },
    { exec: a, pid: 11, stdio },
  ]);
});
