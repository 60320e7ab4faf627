import { mergeEnvironment } from '../../shared/oci/default-spec.ts';
import type { ConsoleSize, Process, User } from '../../shared/oci/spec.ts';

export interface ExecRequest {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string | undefined;
  readonly user: User | undefined;
  readonly terminal: boolean;
  /** Of the terminal. */
  readonly consoleSize?: ConsoleSize | undefined;
}

/**
 * The process of an exec: that of the container, its limits and capabilities with it, running something else. The
 * console's size is not kept: it was another terminal's.
 */
export function execProcess(init: Process, request: ExecRequest): Process {
  const { consoleSize: _, ...rest } = init;
  const term = request.terminal && !init.env?.some((entry) => entry.startsWith('TERM=')) ? ['TERM=xterm'] : [];
  return {
    ...rest,
    terminal: request.terminal,
    ...(request.consoleSize ? { consoleSize: request.consoleSize } : {}),
    args: [...request.args],
    env: mergeEnvironment(init.env ?? [], [...term, ...request.env]),
    cwd: request.cwd ?? init.cwd,
    ...(request.user ? { user: request.user } : {}),
  };
}
