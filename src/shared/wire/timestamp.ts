/** `google.protobuf.Timestamp`: seconds since 1970 and nanoseconds of that second. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

/** Seconds of year 1, Go's zero time: what a shim sends for "no time". */
const goZeroSeconds = -62_135_596_800;

export function timestampNow(): Timestamp {
  return timestampOf(Date.now());
}

/** Of milliseconds since 1970. */
export function timestampOf(milliseconds: number): Timestamp {
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanos: Math.round((milliseconds - seconds * 1000) * 1e6) };
}

/** Milliseconds since 1970, with a fraction. */
export function millisecondsOf(timestamp: Timestamp): number {
  return timestamp.seconds * 1000 + timestamp.nanos / 1e6;
}

/** The plain form of a decoded timestamp; undefined where absent, zero, or Go's zero time. */
export function plainTimestamp(
  timestamp: { readonly seconds?: unknown; readonly nanos?: unknown } | null | undefined,
): Timestamp | undefined {
  const seconds = Number(timestamp?.seconds ?? 0);
  const nanos = Number(timestamp?.nanos ?? 0);
  if (seconds <= goZeroSeconds || (seconds === 0 && nanos === 0)) return undefined;
  return { seconds, nanos };
}
