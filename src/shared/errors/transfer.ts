import type { ErrorCode } from './codes.ts';
import { TaskError } from './task-error.ts';

/** An error as it crosses threads: structured clone drops `name` and `code` of an Error. */
export interface TransferredError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack?: string;
}

export function encodeError(thrown: unknown): TransferredError {
  const error = TaskError.from(thrown);
  return {
    code: error.code,
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}

export function decodeError(transferred: TransferredError): TaskError {
  const cause = new Error(transferred.message);
  if (transferred.stack !== undefined) cause.stack = transferred.stack;
  return new TaskError(transferred.code, transferred.message, { cause });
}
