/** How `shimd serve` ends; docs/operations.md, "Exit codes". */
export const exitCodes = {
  /** Stopped in order, tasks left running. */
  ok: 0,
  /** Could not start, or failed while serving. */
  failure: 1,
  /** A flag or the configuration file is wrong: trying again changes nothing. */
  configuration: 2,
  /** Another daemon serves the same directories. */
  alreadyRunning: 3,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** An end of the daemon that is told to the operator as one line instead of a stack. */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode, options?: { cause?: unknown }) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export const configurationError = (message: string): StartError => new StartError(message, exitCodes.configuration);
