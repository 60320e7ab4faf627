import { invalidArgument } from '../shared/errors/index.ts';
import type { Any } from '../shared/wire/any.ts';
import type { SandboxDescription, SandboxEntry } from '../store/index.ts';
import { withoutEmpty } from './labels.ts';
import { checkSandbox } from './sandbox-message.ts';

/** What is replaced where the request names no fields. */
const mutableFields = ['labels', 'extensions', 'spec', 'runtime'];

/**
 * A sandbox changed in the fields that a request names; where it names none, in all that can be changed, and then the
 * runtime's name has to be the same. Throws INVALID_ARGUMENT.
 */
export function updateSandbox(
  current: SandboxEntry,
  wanted: SandboxDescription,
  fields: readonly string[],
): SandboxDescription {
  if (fields.length === 0 && wanted.runtime.name !== current.runtime.name) {
    throw invalidArgument('sandbox.Runtime.Name field is immutable: invalid argument');
  }
  let updated: SandboxDescription = current;
  for (const field of fields.length === 0 ? mutableFields : fields) updated = updateField(updated, wanted, field);
  return checkSandbox({ ...updated, labels: withoutEmpty(updated.labels) });
}

function updateField(current: SandboxDescription, wanted: SandboxDescription, field: string): SandboxDescription {
  // The key of a label or an extension is everything after the first dot.
  const key = field.slice(field.indexOf('.') + 1);
  if (field.startsWith('labels.')) return { ...current, labels: withEntry(current.labels, key, wanted.labels[key]) };
  if (field.startsWith('extensions.')) {
    return { ...current, extensions: withEntry<Any>(current.extensions, key, wanted.extensions[key]) };
  }
  switch (field) {
    case 'labels':
      return { ...current, labels: wanted.labels };
    case 'extensions':
      return { ...current, extensions: wanted.extensions };
    case 'spec':
      return { ...current, spec: wanted.spec };
    case 'runtime':
      return { ...current, runtime: wanted.runtime };
    default:
      throw invalidArgument(
        `cannot update ${JSON.stringify(field)} field on sandbox ${JSON.stringify(wanted.id)}: invalid argument`,
      );
  }
}

/** An entry without a value is removed. */
function withEntry<T>(entries: Readonly<Record<string, T>>, key: string, value: T | undefined): Record<string, T> {
  const others = Object.entries(entries).filter(([other]) => other !== key);
  return Object.fromEntries(value === undefined ? others : [...others, [key, value]]);
}
