import protobuf from 'protobufjs';
import { runtimeName } from '../../src/process-shim/about.ts';
import { type Message, programSpec } from './messages.ts';

/** Where a text is in a message: names of fields, or `key` and `value` of a map. */
export interface StringField {
  readonly path: string;
  /** The message with that text in that place, and sense in the others. */
  readonly message: (text: string) => Message;
}

/** Messages in messages that are looked into. */
const deepest = 4;

/** Every text of a message of this type. `known` has the texts that make sense, by the name of their field. */
export function stringFields(type: protobuf.Type, known: ReadonlyMap<string, string>): StringField[] {
  return placesIn(type, 0).map(({ path, put }) => ({
    path,
    message: (text) => put(sensible(type, known, 0), text),
  }));
}

interface Place {
  readonly path: string;
  readonly put: (message: Message, text: string) => Message;
}

function placesIn(type: protobuf.Type, depth: number): Place[] {
  return type.fieldsArray.flatMap((field): Place[] => {
    const { name, resolvedType } = field;
    const wrap = (value: unknown): unknown => (field.repeated ? [value] : value);
    if (field instanceof protobuf.MapField) {
      const places: Place[] = [
        { path: `${name}.key`, put: (message, text) => ({ ...message, [name]: { [text]: 'v' } }) },
      ];
      if (field.type === 'string') {
        places.push({ path: `${name}.value`, put: (message, text) => ({ ...message, [name]: { k: text } }) });
      }
      return field.keyType === 'string' ? places : [];
    }
    if (field.type === 'string') return [{ path: name, put: (message, text) => ({ ...message, [name]: wrap(text) }) }];
    if (!(resolvedType instanceof protobuf.Type) || depth >= deepest) return [];
    return placesIn(resolvedType, depth + 1).map(({ path, put }) => ({
      path: `${name}.${path}`,
      put: (message, text) => {
        const found = message[name];
        const inner = typeof found === 'object' && found !== null && !Array.isArray(found) ? { ...found } : {};
        return { ...message, [name]: wrap(put(inner, text)) };
      },
    }));
  });
}

/** Messages that most calls need to get anywhere. */
const wanted = new Set(['container', 'runtime', 'resource', 'namespace', 'sandbox', 'envelope', 'event']);

function sensible(type: protobuf.Type, known: ReadonlyMap<string, string>, depth: number): Message {
  const entries = type.fieldsArray.flatMap((field): [string, unknown][] => {
    const { name, resolvedType } = field;
    if (field instanceof protobuf.MapField || field.repeated) return [];
    if (name === 'spec') return [[name, programSpec(['sleep', '100'])]];
    if (field.type === 'string') {
      const text = type.name === 'Runtime' && name === 'name' ? runtimeName : known.get(name);
      return text === undefined ? [] : [[name, text]];
    }
    if (!(resolvedType instanceof protobuf.Type) || depth >= deepest || !wanted.has(name)) return [];
    return [[name, sensible(resolvedType, known, depth + 1)]];
  });
  return Object.fromEntries(entries);
}
