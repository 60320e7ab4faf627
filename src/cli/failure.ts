import { TaskError } from '../shared/errors/index.ts';
import { printable } from './output/printable.ts';

/** A failure that decides the exit code itself. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly status: number;

  constructor(status: number, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.status = status;
  }
}

/** The command line says something that cannot be done. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The message of anything thrown, with what to do where that is known, on one line. */
export function oneLine(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const line = printable(message.replaceAll(/\s*\n\s*/g, ' ').trim());
  const hint = hintFor(thrown, line);
  return hint === undefined ? line : `${line}; ${hint}`;
}

function hintFor(thrown: unknown, line: string): string | undefined {
  if (!(thrown instanceof TaskError)) return undefined;
  switch (thrown.code) {
    case 'NOT_FOUND':
      return /\b(?:container|task)\b/.test(line) ? "'shimd ps -a' lists what there is" : undefined;
    case 'ALREADY_EXISTS':
      return "choose another id, or remove that one with 'shimd rm'";
    default:
      return undefined;
  }
}
