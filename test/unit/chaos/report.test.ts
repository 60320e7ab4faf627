import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

type Result = Readonly<Record<string, unknown>>;

const file = path.resolve(import.meta.dirname, '../../chaos/lib/report.mjs');
const { hasPassed, lastLine, table } = (await import(pathToFileURL(file).href)) as {
  hasPassed: (result: Result) => boolean;
  lastLine: (results: readonly Result[]) => string;
  table: (results: readonly Result[]) => string;
};

const about = { seed: '7', minutes: 2, runtimes: 'the embedded runtime' };
const good: Result = {
  ...about,
  placement: 'auto',
  containers: 12,
  inits: 12,
  execs: 3,
  endedWithTheirShim: 1,
  endedWithTheirSandbox: 2,
  exitEvents: 15,
  exitEventsOfOthers: 0,
  exitEventsOwed: 14,
  exitEventsMissed: 0,
  exitsLogged: 15,
  sandboxes: 8,
  sandboxExitsLogged: 8,
  sandboxExitEvents: 7,
  sandboxesEndedWithTheirShim: 1,
  faults: { daemon: 1, thread: 2, killShim: 3, stopShim: 4, killSandbox: 7, stopSandbox: 9, disk: 5, clients: 6 },
  daemonStarts: 2,
  memory: [50, 51],
  descriptors: [40, 40],
  violations: [],
};
const bad: Result = { ...good, placement: 'shared', violations: ['a//1: lost'], log: '/tmp/x/daemon.log' };
const broken: Result = { ...about, placement: 'per-task', error: 'no mount' };

test('the summary has a column for each placement, and says that nothing was lost', () => {
  const text = table([good, { ...good, placement: 'shared' }]);
  expect(text).toMatch(/^ +auto +shared$/m);
  expect(text).toMatch(/^ +kill -9 of the daemon +1 +1$/m);
  expect(text).toMatch(/^ +sandboxes started +8 +8$/m);
  expect(text).toContain('8, 7 heard, 1 with their shim');
  expect(text).toContain('7 killed, 9 stopped');
  expect(text).toContain('auto: nothing lost, repeated, wrong or left');
  expect(lastLine([good])).toBe('1 passed, 0 failed');
});

test('a violation is told with the daemon’s log and the command that runs the same again', () => {
  const text = table([good, bad]);
  expect(text).toContain('shared: 1 violations:\n  a//1: lost\n  the daemon');
  expect(text).toContain('again: npm run chaos -- --minutes 2 --seed 7 --placement shared');
  expect(lastLine([good, bad])).toBe('1 passed, 1 failed');
});

test('a run that could not be made has failed', () => {
  expect([good, bad, broken].map(hasPassed)).toEqual([true, false, false]);
  expect(table([broken])).toContain('per-task: the run could not be made: no mount');
  expect(lastLine([broken])).toBe('0 passed, 1 failed');
});
