import type { Stdio } from '../../src/shared/messages/index.ts';

const nowhere = '/dev/null';

/**
 * The stdio that a shim is given for what the client gave. Where only some of it is given, a runc shim waits in
 * Create for the rest, with a lock held that all its tasks need; all of it absent is fine as it is.
 */
export function stdioForShim(stdio: Stdio): Stdio {
  const { stdin, stdout, stderr, terminal } = stdio;
  if (stdin === '' && stdout === '' && stderr === '' && !terminal) return stdio;
  // A terminal has one output, a stderr beside it is refused; and the end of its input closes it, which hangs up on the
  // process: without an input it stays open.
  if (terminal) return { stdin, stdout: stdout || nowhere, stderr: '', terminal };
  return { stdin: stdin || nowhere, stdout: stdout || nowhere, stderr: stderr || nowhere, terminal };
}
