import type { Stdio } from '../../src/shared/messages/index.ts';

const nowhere = '/dev/null';

/**
 * The stdio that a shim is given for what the client gave. Where only some of it is given, a runc shim waits in
 * Create for the rest, with a lock held that all its tasks need; all of it absent is fine as it is.
 */
export function stdioForShim(stdio: Stdio): Stdio {
  const { stdin, stdout, stderr, terminal } = stdio;
  if (stdin === '' && stdout === '' && stderr === '' && !terminal) return stdio;
  return {
    stdin: stdin || nowhere,
    stdout: stdout || nowhere,
    // A terminal has one output; a stderr beside it is refused.
    stderr: terminal ? '' : stderr || nowhere,
    terminal,
  };
}
