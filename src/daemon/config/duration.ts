const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/** Milliseconds of a text such as `500ms`, `2.5s` or `1m`; undefined where it is none, or nothing. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text);
  const milliseconds = Math.round(Number(match?.[1]) * (units[match?.[2] ?? ''] ?? Number.NaN));
  // Timers count in 31 bits.
  return milliseconds > 0 && milliseconds < 2 ** 31 ? milliseconds : undefined;
}
