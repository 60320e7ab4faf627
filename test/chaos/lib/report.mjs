/** Violations that the summary shows; --json has all. */
const mostShown = 40;

const list = (numbers) => numbers.join(' ');

const rows = [
  ['containers', ({ containers }) => containers],
  ['sandboxes started', ({ sandboxes }) => sandboxes],
  ['processes told of', ({ inits, execs }) => `${inits} inits, ${execs} execs`],
  ['ended with their shim', ({ endedWithTheirShim }) => endedWithTheirShim],
  ['ended with their sandbox', ({ endedWithTheirSandbox }) => endedWithTheirSandbox],
  ['exit events', ({ exitEvents, exitEventsOfOthers }) => `${exitEvents}, ${exitEventsOfOthers} of others`],
  ['owed, missed while deaf', (one) => `${one.exitEventsOwed}, ${one.exitEventsMissed}`],
  ['exits in the log', ({ exitsLogged }) => exitsLogged],
  [
    'exits of sandboxes',
    (one) =>
      `${one.sandboxExitsLogged}, ${one.sandboxExitEvents} heard, ${one.sandboxesEndedWithTheirShim} with their shim`,
  ],
  ['kill -9 of the daemon', ({ faults }) => faults.daemon],
  ['threads lost', ({ faults }) => faults.thread],
  ['shims killed', ({ faults }) => faults.killShim],
  ['shims stopped', ({ faults }) => faults.stopShim],
  ['shims of sandboxes', ({ faults }) => `${faults.killSandbox} killed, ${faults.stopSandbox} stopped`],
  ['disk filled', ({ faults }) => faults.disk],
  ['clients broken off', ({ faults }) => faults.clients],
  ['daemon started', ({ daemonStarts }) => daemonStarts],
  ['MB after equal rounds', ({ memory }) => list(memory)],
  ['descriptors', ({ descriptors }) => list(descriptors)],
  ['violations', ({ violations }) => violations.length],
];

/** A run that could not be made is one that failed. */
export const hasPassed = (result) => result.error === undefined && result.violations.length === 0;

/** The summary of some runs as text, a column for each. */
export function table(results) {
  const made = results.filter(({ error }) => error === undefined);
  const lines = [];
  if (made.length > 0) {
    const [{ seed, minutes, runtimes }] = made;
    lines.push(`chaos: seed ${seed}, ${minutes} min, ${runtimes}`);
    const cells = [['', ...made.map(({ placement }) => placement)]];
    for (const [name, of] of rows) cells.push([name, ...made.map((result) => String(of(result)))]);
    const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
    for (const row of cells)
      lines.push(`  ${row.map((cell, column) => cell.padEnd(widths[column])).join('  ')}`.trimEnd());
  }
  for (const result of results) lines.push(...remarks(result));
  return lines.join('\n');
}

function remarks(result) {
  const { seed, minutes, placement, violations, log, error } = result;
  if (hasPassed(result)) return [`${placement}: nothing lost, repeated, wrong or left`];
  const again = `  again: npm run chaos -- --minutes ${minutes} --seed ${seed} --placement ${placement}`;
  if (error !== undefined) return [`${placement}: the run could not be made: ${error}`, again];
  return [
    `${placement}: ${violations.length} violations:`,
    ...violations.slice(0, mostShown).map((violation) => `  ${violation}`),
    `  the daemon's log: ${log}`,
    again,
  ];
}

/** What a script counts by. */
export function lastLine(results) {
  const passed = results.filter(hasPassed).length;
  return `${passed} passed, ${results.length - passed} failed`;
}
