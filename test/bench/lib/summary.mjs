import { figures } from './figures.mjs';
import { spread } from './statistics.mjs';

/** Repetitions by kind (`{ containerd: [{ lifecycle: 70 }], shared: … }`) as one row a figure that was measured. */
export function summarize(repetitions) {
  const baseline = repetitions.containerd ?? [];
  return figures.flatMap((figure) => {
    const valuesOf = (list) => list.map((one) => one[figure.id]).filter((value) => value !== undefined);
    const subjects = Object.entries(repetitions).flatMap(([kind, list]) => {
      const values = valuesOf(list);
      if (values.length === 0) return [];
      const own = spread(values);
      if (kind === 'containerd') return [[kind, { values: own }]];
      // Repetitions that ran side by side met the same noise: their ratio is truer than that of the medians.
      const pairs = list.flatMap((one, turn) => {
        const [value, other] = [one[figure.id], baseline[turn]?.[figure.id]];
        return value === undefined || !(other > 0) ? [] : [value / other];
      });
      const ratio = pairs.length === 0 ? undefined : spread(pairs);
      const goal = figure.goals[kind];
      const judged = goal && (ratio !== undefined || !goal.text('').endsWith('×'));
      return [
        [
          kind,
          {
            values: own,
            ...(ratio ? { ratio } : {}),
            ...(judged ? { goal: goal.text(figure.unit), met: goal.met(own.median, ratio?.median) } : {}),
          },
        ],
      ];
    });
    const { id, label, unit, better } = figure;
    return subjects.length === 0 ? [] : [{ id, label, unit, better, subjects: Object.fromEntries(subjects) }];
  });
}

/** What has to be said plainly: where shimd misses its goal, and where containerd is better. */
export function shortcomings(rows) {
  const missed = [];
  const behind = [];
  for (const { label, better, subjects } of rows) {
    for (const [kind, { ratio, goal, met, values }] of Object.entries(subjects)) {
      if (kind === 'containerd') continue;
      const name = `${label.trim()} (${kind})`;
      if (met === false) missed.push({ name, goal, values, ratio });
      if (ratio && (better === 'less' ? ratio.median > 1.02 : ratio.median < 0.98)) behind.push({ name, ratio });
    }
  }
  return { missed, behind };
}
