/** Keys are identifiers joined by NUL, which none of them can hold; so what belongs together lies together, in order. */
const separator = '\0';

export function keyOf(...parts: readonly string[]): Buffer {
  return Buffer.from(parts.join(separator));
}

export function partsOf(key: Uint8Array): string[] {
  return Buffer.from(key).toString().split(separator);
}

/** The range of all keys that begin with `parts` and have more of them. */
export function rangeOf(...parts: readonly string[]): { start: Buffer; end: Buffer } {
  return { start: Buffer.from(parts.join(separator) + separator), end: Buffer.from(`${parts.join(separator)}\u0001`) };
}
