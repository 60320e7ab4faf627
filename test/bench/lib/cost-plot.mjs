// What one task costs from few to many tasks, as small plots beside each other; both axes are logarithmic. A line that stays
// level is linear growth of the whole.
const panels = [
  { title: 'processor time of the daemon for create+start, ms a task', value: ({ createCpu }) => createCpu },
  { title: 'wall time of create+start by 16 callers, ms a task', value: ({ createRate }) => 1000 / createRate },
  { title: 'one exec, ms', value: ({ exec }) => exec },
  { title: 'list, µs a task', value: ({ list, tasks }) => (list * 1000) / tasks },
  { title: 'all killed at once → every exit told, ms a task', value: ({ killed, tasks }) => killed / tasks },
  { title: 'memory of shims, MB a task', value: ({ shimMemory, tasks }) => shimMemory / tasks },
];
const size = { width: 300, height: 190, left: 52, right: 12, top: 34, bottom: 30, columns: 3, head: 48 };

function scale([from, to], [start, end]) {
  const span = Math.log(to / from) || 1;
  return (value) => start + ((end - start) * Math.log(value / from)) / span;
}

/** Powers of ten that hold all values. */
function decades(values) {
  const least = 10 ** Math.floor(Math.log10(Math.min(...values)));
  const most = 10 ** Math.ceil(Math.log10(Math.max(...values)));
  return [least, most > least ? most : least * 10];
}

function ticks([from, to]) {
  const all = [];
  for (let tick = from; tick <= to * 1.001; tick *= 10) all.push(Number(tick.toPrecision(1)));
  return all;
}

function panel({ title, value }, results, index) {
  const x0 = (index % size.columns) * size.width;
  const y0 = size.head + Math.floor(index / size.columns) * size.height;
  const points = results.map((one) => [one.tasks, value(one)]).filter(([, y]) => Number.isFinite(y) && y > 0);
  if (points.length === 0) return '';
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)].map(decades);
  const right = size.width - size.right;
  const bottom = size.height - size.bottom;
  const x = scale(xs, [size.left, right]);
  const y = scale(ys, [bottom, size.top]);
  const grid = [
    ...ticks(xs).map(
      (tick) =>
        `<line x1="${x(tick).toFixed(1)}" y1="${size.top}" x2="${x(tick).toFixed(1)}" y2="${bottom}" stroke="#ddd"/><text x="${x(tick).toFixed(1)}" y="${bottom + 14}" font-size="10" text-anchor="middle">${tick}</text>`,
    ),
    ...ticks(ys).map(
      (tick) =>
        `<line x1="${size.left}" y1="${y(tick).toFixed(1)}" x2="${right}" y2="${y(tick).toFixed(1)}" stroke="#ddd"/><text x="${size.left - 5}" y="${(y(tick) + 3).toFixed(1)}" font-size="10" text-anchor="end">${tick}</text>`,
    ),
  ];
  const path = points.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join(' ');
  const dots = points.map(
    ([px, py]) => `<circle cx="${x(px).toFixed(1)}" cy="${y(py).toFixed(1)}" r="3" fill="#1f77b4"/>`,
  );
  return [
    `<g transform="translate(${x0},${y0})">`,
    `<text x="${size.left}" y="22" font-size="11">${title}</text>`,
    ...grid,
    `<polyline points="${path}" fill="none" stroke="#1f77b4" stroke-width="1.5"/>`,
    ...dots,
    '</g>',
  ].join('\n');
}

export function drawCosts(results, about) {
  const width = size.width * size.columns;
  const height = size.head + size.height * Math.ceil(panels.length / size.columns);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="12" y="22" font-size="16" font-weight="bold">What a task costs, by the number of tasks alive</text>`,
    `<text x="12" y="40" font-size="11" fill="#555">${about}</text>`,
    ...panels.map((one, index) => panel(one, results, index)),
    '</svg>',
    '',
  ].join('\n');
}
