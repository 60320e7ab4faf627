import type { Namespace } from '../shared/identifiers.ts';
import type { Daemon } from './client/daemon.ts';

/** What every command is given: the global options, a way to the daemon, and where its output goes. */
export interface Context {
  readonly address: string;
  readonly namespace: Namespace;
  readonly json: boolean;
  /** The one client of this run; loads gRPC at its first use, and is closed by the program. */
  daemon(): Promise<Daemon>;
  /** Writes to standard output as it is. */
  print(text: string): void;
  /** One line on standard error for the user, with the program's name before it. */
  warn(message: string): void;
}

/** Data as `--json` prints it: one document on one line. */
export function jsonLine(data: unknown): string {
  return `${JSON.stringify(data)}\n`;
}
