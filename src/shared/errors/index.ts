export { codeOfNumber, type ErrorCode, errorCodes, numberOfCode } from './codes.ts';
export { codeOfErrno, type ErrnoException, isErrnoException } from './errno.ts';
export {
  alreadyExists,
  deadlineExceeded,
  failedPrecondition,
  hasCode,
  invalidArgument,
  notFound,
  TaskError,
  unavailable,
  unimplemented,
} from './task-error.ts';
export { decodeError, encodeError, type TransferredError } from './transfer.ts';
