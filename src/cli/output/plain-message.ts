import { isoTime } from '../container/task-view.ts';

/**
 * A decoded message as JSON data: defaults too, which live on the prototype, times in ISO 8601, bytes in base64.
 */
export function plainMessage(message: object): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  // Inherited fields included, on purpose.
  for (const name in message) {
    const value: unknown = Reflect.get(message, name);
    if (name.startsWith('$') || typeof value === 'function' || value === null) continue;
    plain[name] = plainValue(name, value);
  }
  return plain;
}

function plainValue(name: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map((entry: unknown) => plainValue('', entry));
  if (typeof value !== 'object' || value === null) return value;
  return name.endsWith('At') ? isoTime(value) : plainMessage(value);
}
