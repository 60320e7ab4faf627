import { invalidArgument } from '../shared/errors/index.ts';

/** Longest label, key and value together, in bytes. */
const maxLabelLength = 4096;

/** Checks the labels of an object; `what` names it in the message. Throws INVALID_ARGUMENT. */
export function checkLabels(labels: Readonly<Record<string, string>>, what: string): void {
  for (const [key, value] of Object.entries(labels)) {
    const length = Buffer.byteLength(key) + Buffer.byteLength(value);
    if (length > maxLabelLength) {
      throw invalidArgument(
        `${what}: label key and value length (${length} bytes) greater than maximum size (${maxLabelLength} bytes), key: ${key.slice(0, 64)}: invalid argument`,
      );
    }
  }
}

/** Labels as a store keeps them: those without a value are not there. */
export function withoutEmpty(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''));
}
