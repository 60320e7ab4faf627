import type { Paint } from '../output/colour.ts';
import { table } from '../output/table.ts';
import { roundsToJudge } from './flatness.ts';
import { total } from './footprint-watch.ts';
import { type Phase, phases } from './lifecycle.ts';
import type { LoadReport, RoundReport } from './load.ts';

const phaseNames: Readonly<Record<Phase, string>> = {
  create: 'create',
  start: 'start',
  launch: 'create to start',
  report: 'end to report',
  delete: 'delete',
  whole: 'whole life',
};

export function milliseconds(value: number): string {
  return value < 100 ? value.toFixed(1) : value.toFixed(0);
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** The report for people. */
export function loadText(report: LoadReport, heading: string, paint: Paint): string {
  const problems = report.problems.map((problem) => `  ${paint('red', problem)}\n`).join('');
  return [`${heading}\n`, phaseTable(report), roundTable(report.rounds), `${verdict(report, paint)}\n${problems}`].join(
    '\n',
  );
}

function phaseTable(report: LoadReport): string {
  const rows = phases.map((phase) => {
    const { p50, p90, p99, max } = report.phases[phase];
    return [phaseNames[phase], ...[p50, p90, p99, max].map(milliseconds)];
  });
  return table(['MILLISECONDS', 'P50', 'P90', 'P99', 'MAX'], rows);
}

/** Peaks are of the daemon and all shims; LEFT is what remains when the round is over and its shims have ended, without what files take. */
function roundTable(rounds: readonly RoundReport[]): string {
  const rows = rounds.map(({ round, milliseconds: time, throughput, peak, settled, counts }) => {
    const most = peak && total(peak);
    const left = settled && total(settled);
    return [
      String(round),
      (time / 1000).toFixed(1),
      throughput.toFixed(1),
      peak ? String(peak.shims.processes) : '-',
      most ? megabytes(most.pss) : '-',
      peak ? megabytes(peak.daemon.pss) : '-',
      most ? String(most.descriptors) : '-',
      left ? megabytes(left.anonymous) : '-',
      left ? String(left.descriptors) : '-',
      `${counts.lost}/${counts.repeated}/${counts.wrong}/${counts.failed}`,
    ];
  });
  const headings = ['ROUND', 'SECONDS', 'TASKS/S', 'SHIMS', 'PEAK MB', 'DAEMON MB', 'PEAK FDS', 'LEFT MB', 'LEFT FDS'];
  return table([...headings, 'LOST/REPEATED/WRONG/FAILED'], rows);
}

function verdict({ counts, flatness, ok, rounds }: LoadReport, paint: Paint): string {
  const exits =
    `${counts.tasks} tasks: ${counts.lost} exits lost, ${counts.repeated} repeated, ${counts.wrong} wrong; ` +
    `${counts.failed} tasks failed`;
  const colour = ok ? 'green' : 'red';
  if (flatness === undefined) {
    const finished = rounds.length >= roundsToJudge;
    return `${paint(colour, exits)} (${finished ? 'the memory cannot be measured from here' : `memory is judged from ${roundsToJudge} rounds on`})`;
  }
  const { flat, before, after, growth, newDescriptors } = flatness;
  const memory =
    `memory ${flat ? 'flat' : 'NOT flat'}: ${megabytes(before)} MB after round 2, ${megabytes(after)} MB after round ` +
    `${rounds.length} (${growth.toFixed(2)}x), ${newDescriptors < 0 ? '' : '+'}${newDescriptors} descriptors`;
  return `${paint(colour, exits)}\n${paint(flat ? 'green' : 'red', memory)}`;
}

/** The report as `--json` prints it: milliseconds and bytes. */
export function loadData(report: LoadReport): Record<string, unknown> {
  const { flatness, byStatus, ...rest } = report;
  return {
    ...rest,
    memory: flatness ?? null,
    statuses: [...byStatus].map(([status, line]) => ({ status, ...line })),
  };
}
