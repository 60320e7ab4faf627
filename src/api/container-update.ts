import { invalidArgument } from '../shared/errors/index.ts';
import type { Any } from '../shared/wire/any.ts';
import type { Container, ContainerDescription } from '../store/index.ts';
import { type ContainerFields, checkContainer } from './container-message.ts';
import { withoutEmpty } from './labels.ts';

/** What is replaced where the request names no fields; the others cannot be changed. */
const mutableFields = ['labels', 'spec', 'extensions', 'image', 'snapshotkey'];

/**
 * A container changed in the fields of an update mask; without a mask, in all that can be changed.
 * Throws INVALID_ARGUMENT for a field that cannot be changed and for a container that cannot be stored.
 */
export function updateContainer(
  current: Container,
  wanted: ContainerFields,
  mask: readonly string[],
): ContainerDescription {
  if (mask.length === 0) {
    if (wanted.snapshotter !== current.snapshotter) throw immutable('Snapshotter');
    if (wanted.runtime.name !== current.runtime.name) throw immutable('Runtime.Name');
  }
  let updated: ContainerFields = current;
  for (const field of mask.length === 0 ? mutableFields : mask) updated = updateField(updated, wanted, field);
  return checkContainer({ ...updated, labels: withoutEmpty(updated.labels) });
}

function updateField(current: ContainerFields, wanted: ContainerFields, field: string): ContainerFields {
  const dot = field.indexOf('.');
  // The key of a label or an extension is everything after the first dot.
  if (dot > 0) {
    const key = field.slice(dot + 1);
    switch (field.slice(0, dot)) {
      case 'labels':
        return { ...current, labels: withEntry(current.labels, key, wanted.labels[key]) };
      case 'extensions':
        return { ...current, extensions: withEntry<Any>(current.extensions, key, wanted.extensions[key]) };
      default:
        throw unknownField(field, wanted);
    }
  }
  switch (field) {
    case 'labels':
      return { ...current, labels: wanted.labels };
    case 'spec':
      return { ...current, spec: wanted.spec };
    case 'extensions':
      return { ...current, extensions: wanted.extensions };
    case 'image':
      return { ...current, image: wanted.image };
    case 'snapshotkey':
      return { ...current, snapshotKey: wanted.snapshotKey };
    default:
      throw unknownField(field, wanted);
  }
}

/** An entry without a value is removed. */
function withEntry<T>(entries: Readonly<Record<string, T>>, key: string, value: T | undefined): Record<string, T> {
  const others = Object.entries(entries).filter(([other]) => other !== key);
  return Object.fromEntries(value === undefined ? others : [...others, [key, value]]);
}

function immutable(field: string): Error {
  return invalidArgument(`container.${field} field is immutable: invalid argument`);
}

function unknownField(field: string, wanted: ContainerFields): Error {
  return invalidArgument(
    `cannot update ${JSON.stringify(field)} field on ${JSON.stringify(wanted.id)}: invalid argument`,
  );
}
