// The ratios as a picture: one bar a figure and placement, with the goal and containerd's line. Written by hand: an SVG is text.
const colours = { shared: '#1f77b4', 'per-task': '#9ecae1', missed: '#d62728', line: '#444444', grid: '#dddddd' };
const layout = { left: 330, right: 130, top: 70, bar: 11, gap: 3, row: 40, width: 980, bottom: 40 };

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** How much better than containerd, whichever way the figure runs: 2 is twice as good. */
const gainOf = ({ better }, ratio) => (better === 'less' ? 1 / ratio : ratio);

/** From a tenth as good to fifty times as good, on a logarithmic axis. */
const range = { least: 0.1, most: 50 };

function placeOf(gain) {
  const span = layout.width - layout.left - layout.right;
  const bounded = Math.min(range.most, Math.max(range.least, gain));
  return layout.left + (span * Math.log(bounded / range.least)) / Math.log(range.most / range.least);
}

function text(x, y, content, { size = 12, anchor = 'start', colour = '#222222', weight = 'normal' } = {}) {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" font-size="${size}" text-anchor="${anchor}" fill="${colour}" font-weight="${weight}">${escape(content)}</text>`;
}

function bar(figure, kind, subject, y) {
  const gain = gainOf(figure, subject.ratio.median);
  const [from, to] = [placeOf(1), placeOf(gain)].toSorted((a, b) => a - b);
  const fill = subject.met === false ? colours.missed : colours[kind];
  const ends = [subject.ratio.min, subject.ratio.max].map((ratio) => placeOf(gainOf(figure, ratio)));
  const middle = y + layout.bar / 2;
  const verdict = subject.met === undefined ? '' : subject.met ? ' ✓' : ` (goal ${subject.goal})`;
  return [
    `<rect x="${from.toFixed(1)}" y="${y}" width="${Math.max(1, to - from).toFixed(1)}" height="${layout.bar}" fill="${fill}"/>`,
    `<line x1="${ends[0].toFixed(1)}" y1="${middle}" x2="${ends[1].toFixed(1)}" y2="${middle}" stroke="${colours.line}" stroke-width="1"/>`,
    text(Math.max(to, ...ends) + 5, y + layout.bar - 1, `${gain.toFixed(gain >= 10 ? 0 : 2)}×${verdict}`, { size: 10 }),
  ].join('\n');
}

/** An SVG of the rows that have a ratio; `subtitle` says what was measured where. */
export function drawRatios(rows, subtitle) {
  const drawn = rows.filter(({ subjects }) => Object.values(subjects).some((subject) => subject.ratio));
  const height = layout.top + drawn.length * layout.row + layout.bottom;
  const ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50];
  const bottom = height - layout.bottom;
  const grid = ticks.flatMap((tick) => {
    const x = placeOf(tick).toFixed(1);
    const stroke = tick === 1 ? colours.line : colours.grid;
    return [
      `<line x1="${x}" y1="${layout.top - 8}" x2="${x}" y2="${bottom}" stroke="${stroke}"/>`,
      text(Number(x), bottom + 16, `${tick}×`, { size: 10, anchor: 'middle' }),
    ];
  });
  const body = drawn.flatMap((figure, index) => {
    const y = layout.top + index * layout.row;
    const bars = ['shared', 'per-task'].filter((kind) => figure.subjects[kind]?.ratio);
    return [
      text(layout.left - 10 - 0, y + 17, `${figure.label.trim()}`, { anchor: 'end' }),
      ...bars.map((kind, turn) => bar(figure, kind, figure.subjects[kind], y + 2 + turn * (layout.bar + layout.gap))),
    ];
  });
  const legend = [
    `<rect x="${layout.left}" y="44" width="10" height="10" fill="${colours.shared}"/>`,
    text(layout.left + 15, 53, 'shared shims', { size: 11 }),
    `<rect x="${layout.left + 110}" y="44" width="10" height="10" fill="${colours['per-task']}"/>`,
    text(layout.left + 125, 53, 'one shim a task', { size: 11 }),
    `<rect x="${layout.left + 235}" y="44" width="10" height="10" fill="${colours.missed}"/>`,
    text(layout.left + 250, 53, 'goal missed', { size: 11 }),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${layout.width}" height="${height}" viewBox="0 0 ${layout.width} ${height}" font-family="sans-serif">`,
    `<rect width="${layout.width}" height="${height}" fill="#ffffff"/>`,
    text(12, 22, 'shimd beside containerd: times better (right) or worse (left)', { size: 16, weight: 'bold' }),
    text(12, 38, subtitle, { size: 11, colour: '#555555' }),
    ...legend,
    ...grid,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}
