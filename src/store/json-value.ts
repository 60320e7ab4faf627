import { TaskError } from '../shared/errors/index.ts';
import type { Timestamp } from '../shared/wire/timestamp.ts';

/** Small values are JSON: they can be read with any LMDB tool, and fields can be added without a migration. */
export function encodeJson(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

export function decodeJson<T>(bytes: Uint8Array, parse: (value: unknown) => T, what: string): T {
  try {
    return parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch (error) {
    throw new TaskError('DATA_LOSS', `the stored ${what} is damaged: ${String(error)}`, { cause: error });
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Checks that `value` is an object of strings; an absent one is empty. */
export function parseLabels(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value)) throw new Error('labels are not an object');
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, parseString(text)]));
}

export function parseString(value: unknown): string {
  if (typeof value !== 'string') throw new Error(`${JSON.stringify(value)} is not a string`);
  return value;
}

export function parseNumber(value: unknown): number {
  if (typeof value !== 'number') throw new Error(`${JSON.stringify(value)} is not a number`);
  return value;
}

/** Checks that `value` is an object with the numbers of a timestamp. */
export function parseTimestamp(value: unknown): Timestamp {
  if (!isRecord(value)) throw new Error('a timestamp is not an object');
  return { seconds: parseNumber(value.seconds), nanos: parseNumber(value.nanos) };
}
