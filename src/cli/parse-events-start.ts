/** Where `events --since` begins. */
export type EventsStart =
  | { readonly kind: 'cursor'; readonly cursor: number }
  /** Milliseconds since 1970. */
  | { readonly kind: 'time'; readonly time: number }
  | { readonly kind: 'oldest' };

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A cursor, a time in ISO 8601, a duration before `now`, or `oldest`. Throws an error that says what is wrong. */
export function parseEventsStart(text: string, now = Date.now()): EventsStart {
  if (text === 'oldest') return { kind: 'oldest' };
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { kind: 'cursor', cursor: Number(text) };
  const ago = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text);
  if (ago !== null) return { kind: 'time', time: now - Number(ago[1]) * (units[ago[2] ?? ''] ?? 0) };
  const time = /^\d{4}-\d\d-\d\d(?:T.*)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(time)) return { kind: 'time', time };
  throw new Error("has to be a cursor, a time such as 2026-01-31T12:00:00Z, a duration such as 10m, or 'oldest'");
}
