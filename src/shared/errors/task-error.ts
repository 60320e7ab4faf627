import type { ErrorCode } from './codes.ts';
import { codeOfErrno, isErrnoException } from './errno.ts';

/**
 * The one error class. The message says what was tried, on what, why it failed and, where there is
 * something to do, what to do. containerd's clients match on code and message tail
 * (`task X not found`, `container "X": already exists`), so the tail is part of the contract.
 */
export class TaskError extends Error {
  override readonly name = 'TaskError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }

  /**
   * Makes a TaskError of anything that was thrown: a TaskError stays itself, a Node system error takes the
   * code of its errno, everything else is `UNKNOWN`. `doing` is put before the message of a foreign error.
   */
  static from(thrown: unknown, doing?: string): TaskError {
    if (thrown instanceof TaskError) return thrown;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const message = doing === undefined ? reason : `${doing}: ${reason}`;
    const code = isErrnoException(thrown) ? codeOfErrno(thrown.code) : 'UNKNOWN';
    return new TaskError(code, message, { cause: thrown });
  }
}

/** True where `thrown` is a TaskError with one of these codes. */
export function hasCode(thrown: unknown, ...codes: ErrorCode[]): thrown is TaskError {
  return thrown instanceof TaskError && codes.includes(thrown.code);
}

export const invalidArgument = (message: string): TaskError => new TaskError('INVALID_ARGUMENT', message);
export const notFound = (message: string): TaskError => new TaskError('NOT_FOUND', message);
export const alreadyExists = (message: string): TaskError => new TaskError('ALREADY_EXISTS', message);
export const failedPrecondition = (message: string): TaskError => new TaskError('FAILED_PRECONDITION', message);
export const unavailable = (message: string, cause?: unknown): TaskError =>
  new TaskError('UNAVAILABLE', message, { cause });
export const unimplemented = (message: string): TaskError => new TaskError('UNIMPLEMENTED', message);
export const deadlineExceeded = (message: string): TaskError => new TaskError('DEADLINE_EXCEEDED', message);
