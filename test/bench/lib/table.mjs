import { stripVTControlCharacters } from 'node:util';
import { short } from './figures.mjs';
import { shortcomings } from './summary.mjs';

const codes = { red: 31, green: 32, dim: 2 };

/** Colours for a terminal that wants them: none with NO_COLOR, TERM=dumb or another kind of output. */
export function painter(stream, env = process.env) {
  const wanted = stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  return wanted ? (colour, text) => `\u001B[${codes[colour]}m${text}\u001B[0m` : (_, text) => text;
}

const width = (cell) => Array.from(stripVTControlCharacters(cell)).length;

/** Rows of cells in columns as wide as they need, the first row being the heading. */
export function columns(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => width(row[column] ?? ''))));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell + ' '.repeat(widths[column] - width(cell)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const range = ({ min, median, max }) =>
  min === max ? short(median) : `${short(median)} (${short(min)}–${short(max)})`;

/** The figures as a table: each value as median (least–greatest), each ratio to containerd's in the same repetition. */
export function formatTable(rows, paint) {
  const kinds = ['containerd', 'shared', 'per-task'].filter((kind) => rows.some((row) => row.subjects[kind]));
  const own = kinds.filter((kind) => kind !== 'containerd');
  const heading = [
    'figure',
    ...kinds.flatMap((kind) => (kind === 'containerd' ? [kind] : [`shimd ${kind}`, 'ratio', 'goal'])),
  ];
  const body = rows.map(({ label, unit, subjects }) => [
    `${label}, ${unit}`,
    ...kinds.flatMap((kind) => {
      const subject = subjects[kind];
      const values = subject ? range(subject.values) : '–';
      if (!own.includes(kind)) return [values];
      const ratio = subject?.ratio ? `${range(subject.ratio)}×` : '–';
      if (subject?.goal === undefined) return [values, ratio, ''];
      const verdict = subject.met ? paint('green', `met ${subject.goal}`) : paint('red', `MISSED ${subject.goal}`);
      return [values, ratio, verdict];
    }),
  ]);
  return columns([heading, ...body]);
}

/** Says plainly where shimd is behind. */
export function formatShortcomings(rows) {
  const { missed, behind } = shortcomings(rows);
  const lines = [];
  if (missed.length === 0) lines.push('Every goal is met.');
  for (const { name, goal, values, ratio } of missed) {
    const reached = goal.endsWith('×') ? `${short(ratio.median)}×` : short(values.median);
    lines.push(`goal missed: ${name}: ${goal}, reached ${reached}`);
  }
  for (const { name, ratio } of behind) lines.push(`containerd is better: ${name}: ${short(ratio.median)}×`);
  return lines.join('\n');
}
