import { decodeEvent } from './decode-event.ts';
import type { Envelope } from './envelope.ts';
import { type Adaptor, absent, type FieldValue, labelField, presentUnlessEmpty } from './filter/index.ts';

/**
 * What filters see of an envelope: `topic`, `namespace` and `event.<field>` by the field's name in protobuf
 * (`event.container_id`). As in containerd, only text can be asked for: numbers, times and lists are absent.
 */
export function envelopeFields(envelope: Envelope): Adaptor {
  let decoded: object | undefined;
  let isDecoded = false;
  return ([first = '', ...rest]) => {
    switch (first) {
      case 'topic':
        return presentUnlessEmpty(envelope.topic);
      case 'namespace':
        return presentUnlessEmpty(envelope.namespace);
      case 'event':
        if (!isDecoded) {
          decoded = decodeEvent(envelope.event);
          isDecoded = true;
        }
        return fieldOf(decoded, rest);
      default:
        return absent;
    }
  };
}

function fieldOf(message: unknown, fieldpath: readonly string[]): FieldValue {
  const [name, ...rest] = fieldpath;
  if (name === undefined || typeof message !== 'object' || message === null) return absent;
  // Names that are not protobuf's, `containerId` or `constructor`, are no fields.
  const key = name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  if (!/^[a-z0-9_]+$/.test(name) || !Object.hasOwn(message, key)) return absent;
  const value: unknown = Reflect.get(message, key);
  if (typeof value === 'string') return rest.length === 0 ? presentUnlessEmpty(value) : absent;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return absent;
  if (key === 'labels') return labelField(new Map(Object.entries(value)), rest);
  return fieldOf(value, rest);
}
