/** What an object says of one of its fields. An absent field has the empty value. */
export interface FieldValue {
  readonly value: string;
  readonly present: boolean;
}

/** Gives an object's field by its path, e.g. `['labels', 'a.b']`. */
export type Adaptor = (fieldpath: readonly string[]) => FieldValue;

export interface Filter {
  match(adaptor: Adaptor): boolean;
}

export const absent: FieldValue = { value: '', present: false };

/** A field that counts as present where it is not empty, as most of containerd's do. */
export function presentUnlessEmpty(value: string): FieldValue {
  return { value, present: value !== '' };
}

/** A label by its key; the key's dots may be quoted or not. */
export function labelField(
  labels: ReadonlyMap<string, string> | Readonly<Record<string, string>>,
  fieldpath: readonly string[],
): FieldValue {
  const key = fieldpath.join('.');
  const value = labels instanceof Map ? labels.get(key) : recordValue(labels, key);
  return value === undefined ? absent : { value, present: true };
}

function recordValue(record: object, key: string): string | undefined {
  const found: unknown = Object.hasOwn(record, key) ? Reflect.get(record, key) : undefined;
  return typeof found === 'string' ? found : undefined;
}
