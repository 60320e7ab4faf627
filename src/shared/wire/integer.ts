/** A 64-bit integer of a decoded message, which the generated code may give as an object in spite of its declarations. */
export function plainInteger(value: unknown): number {
  return Number(value ?? 0);
}
