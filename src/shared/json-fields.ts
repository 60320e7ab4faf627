import type { Mount } from './messages/process.ts';
import type { Any } from './wire/any.ts';

/** An object of JSON that somebody else may have written: any field can be missing, or be something else. */
export type Json = Readonly<Record<string, unknown>>;

export const objectOf = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value)) : {};
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

export function mountsOf(value: unknown): Mount[] {
  return listOf(value)
    .map(objectOf)
    .map((mount) => ({
      type: textOf(mount['type']),
      source: textOf(mount['source']),
      target: textOf(mount['target']),
      options: listOf(mount['options']).map(textOf),
    }));
}

/** As `anyOf` reads it. */
export function jsonOfAny({ typeUrl, value }: Any): Json {
  return { typeUrl, value: Buffer.from(value).toString('base64') };
}

export function anyOf(value: unknown): Any | undefined {
  const from = objectOf(value);
  const typeUrl = textOf(from['typeUrl']);
  return typeUrl === '' ? undefined : { typeUrl, value: Buffer.from(textOf(from['value']), 'base64') };
}
