import { TaskError } from '../shared/errors/index.ts';

/** The CLI's own exit codes; every other code is the status of the program that was run. */
export const exitStatus = {
  ok: 0,
  /** The command failed. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** `run` and `exec`: shimd failed, not the program. */
  shimd: 125,
  /** `run` and `exec`: the program is there but cannot be run. */
  cannotRun: 126,
  /** `run` and `exec`: the program was not found. */
  notFound: 127,
} as const;

/** The exit codes of the commands that run a program, for their help. */
export const runExitCodes = [
  ['0-255', 'the status of the program; 128 + n where signal n ended it'],
  ['125', 'shimd failed, or the command line is wrong'],
  ['126', 'the program was found but cannot be run'],
  ['127', 'the program was not found'],
] as const;

/** The exit codes of `wait`. */
export const waitExitCodes = [
  ['0-255', 'the status of the task, of the last one of several; 128 + n where signal n ended it'],
  ['125', 'shimd failed for one of them, or the command line is wrong'],
] as const;

/** The exit codes of every other command. */
export const usualExitCodes = [
  ['0', 'done'],
  ['1', 'failed; the reason is on standard error'],
  ['2', 'the command line is wrong'],
] as const;

// What runc, crun and runsc say where the program itself is the reason; a missing mount source or working directory
// reads almost the same, but is no "command not found".
const aboutProgram = /\bexec(?::|\s+["/])|\bexecutable\b|exec user process/i;
const notFoundReasons =
  /executable file .*not found|no such file or directory|not a directory|error finding executable/i;
const cannotRunReasons = /permission denied|is a directory|exec format error|text file busy|not executable/i;

/** The exit code of a `run` or `exec` whose program could not be started, out of what the runtime said. */
export function statusOfFailedStart(error: unknown): number {
  const message = error instanceof TaskError ? error.message : '';
  if (!aboutProgram.test(message)) return exitStatus.shimd;
  if (cannotRunReasons.test(message)) return exitStatus.cannotRun;
  if (notFoundReasons.test(message)) return exitStatus.notFound;
  return exitStatus.shimd;
}
