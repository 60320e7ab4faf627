const units = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

/** How long ago `then` was (both milliseconds since 1970), in its largest whole unit: `3d`, `5m`, `0s`. */
export function age(then: number, now: number): string {
  const seconds = Math.max(0, Math.floor((now - then) / 1000));
  for (const [name, length] of units) {
    if (seconds >= length) return `${Math.floor(seconds / length)}${name}`;
  }
  return '0s';
}
