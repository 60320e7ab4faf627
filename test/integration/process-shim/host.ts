import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** The build under test. */
export const binary = path.resolve(process.env['SHIMD_BUILD'] ?? 'dist', 'bin/containerd-shim-process-v1');

export const isRoot = process.getuid?.() === 0;

/** The user `nobody`; tests of an ordinary user's shim run as it where they are started by root. */
export const nobody = 65_534;

/** Milliseconds that a call or a program may take. */
export const callBudget = 20_000;

/** Waits until `condition` gives something other than undefined or false. */
export async function eventually<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = Date.now() + 10_000;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`${what}: did not come true within 10 s`);
    await delay(5);
  }
}

export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

interface RunOptions {
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly input?: Uint8Array;
  readonly user?: number;
}

/** Runs a program to its end; gives its stdout. Throws with its stderr where it fails. */
export function run(file: string, args: readonly string[], options: RunOptions): Promise<Buffer> {
  const { cwd, env, input, user } = options;
  return new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(file, args, {
      cwd,
      env,
      ...(user === undefined ? {} : { uid: user, gid: user }),
      timeout: callBudget,
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(Buffer.concat(out));
      else
        reject(new Error(`${file} ${args.join(' ')} ended with ${signal ?? code}: ${Buffer.concat(err).toString()}`));
    });
    child.stdin?.end(input);
  });
}

/** Lets every user into a directory made by root. */
export function openToAll(directory: string): void {
  chmodSync(directory, 0o755);
}
