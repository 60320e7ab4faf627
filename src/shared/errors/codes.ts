/**
 * The closed set of error codes: gRPC's, which ttrpc shares. Everything that fails inside shimd fails with one of these.
 * In the order of their numbers on the wire, from 1.
 */
export const errorCodes = [
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** A code's number on the wire; 0 is success and has no code. */
export function numberOfCode(code: ErrorCode): number {
  return errorCodes.indexOf(code) + 1;
}

/** The code of a wire number; numbers that nobody assigned are `UNKNOWN`. */
export function codeOfNumber(number: number): ErrorCode {
  return errorCodes[number - 1] ?? 'UNKNOWN';
}
