import { getSystemErrorName } from 'node:util';

/** A failed call of the C library, in the shape of Node's own system errors: `code` is the errno's name. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  /** `subject` is what was called on, such as a path. */
  constructor(errno: number, syscall: string, subject?: string) {
    const code = getSystemErrorName(-errno);
    super(subject === undefined ? `${code}: ${syscall}` : `${code}: ${syscall} '${subject}'`);
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
  }
}
