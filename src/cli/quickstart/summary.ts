import type { LoadReport } from '../load/load.ts';
import { megabytes, milliseconds } from '../load/report.ts';
import type { Paint } from '../output/colour.ts';
import { table } from '../output/table.ts';

const meanings: Readonly<Record<number, string>> = { 0: 'exit 0', 3: 'exit 3', 137: 'killed' };

/** What became of the tasks, and what they took. */
export function summary(report: LoadReport, paint: Paint): string {
  return ['', exitTable(report), factTable(report), verdict(report, paint)].join('\n');
}

function exitTable({ byStatus }: LoadReport): string {
  const rows = [...byStatus].map(([status, { asked, asAsked }]) => [
    `  ${String(status)}`,
    meanings[status] ?? '',
    String(asked),
    String(asAsked),
  ]);
  return table(['  STATUS', 'ASKED FOR', 'TASKS', 'REPORTED SO, ONCE'], rows);
}

function factTable({ phases, rounds }: LoadReport): string {
  const percentiles = [
    ['  create to start', milliseconds(phases.launch.p50), milliseconds(phases.launch.p99)],
    ['  end to report', milliseconds(phases.report.p50), milliseconds(phases.report.p99)],
  ];
  const times = table(['  MILLISECONDS', 'P50', 'P99'], percentiles);
  const peak = rounds[0]?.peak;
  if (peak === undefined) return times;
  const rows = [peak.daemon, peak.shims].map((part, index) => [
    index === 0 ? '  daemon' : '  shims',
    String(part.processes),
    String(part.threads),
    megabytes(part.pss),
    String(part.descriptors),
  ]);
  return `${times}\n${table(['  WITH ALL TASKS', 'PROCESSES', 'THREADS', 'MEMORY MB', 'DESCRIPTORS'], rows)}`;
}

function verdict({ counts, ok, problems }: LoadReport, paint: Paint): string {
  if (ok) return `${paint('green', 'Every exit was reported once, with the status that was asked for.')}\n`;
  const { lost, repeated, wrong, failed } = counts;
  const line = `NOT as asked: ${lost} lost, ${repeated} repeated, ${wrong} wrong, ${failed} failed.`;
  return [paint('red', line), ...problems.map((problem) => `  ${problem}`), ''].join('\n');
}

export const nextSteps = `
What to try next:
  npm test                                        all tests; with real runtimes as root on Debian
  node dist/src/main.js load --private --rounds 5 more load: is every exit right, is the memory flat?
  node dist/src/main.js serve                     a daemon to keep; in another terminal 'run', 'ps', 'exec', 'kill'
  node dist/src/main.js run --help                containers, with runc and a containerd shim installed
`;
