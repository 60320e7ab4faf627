import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { repository } from './runtimes.ts';

/** The build under test. */
export const buildDirectory: string = path.resolve(repository, process.env.SHIMD_BUILD ?? 'dist');
export const mainProgram: string = path.join(buildDirectory, 'src/main.js');

export interface Finished {
  /** Exit code; 128 + n where signal n ended it, as a shell says it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Written to its standard input, which is then closed. Default: empty. */
  readonly input?: string;
  /** Leaves standard input open after `input`: the caller ends it, `child.stdin.end()`. Default false. */
  readonly keepInput?: boolean;
  /** Milliseconds until it is killed and the call fails. Default 60,000. */
  readonly timeout?: number;
}

const signalNumbers: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGKILL: 9,
  SIGTERM: 15,
  SIGSEGV: 11,
};

/** A program that was started and is watched: its output so far, and its end. */
export class Program {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  stdout = '';
  stderr = '';

  constructor(file: string, args: readonly string[], options: RunOptions = {}) {
    const { env = process.env, cwd, input = '', keepInput = false, timeout = 60_000 } = options;
    const child = spawn(file, args, { env, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    this.child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    // It may end without having read its input.
    child.stdin.on('error', () => undefined);
    child.stdin.write(input);
    if (!keepInput) child.stdin.end();
    this.finished = new Promise((resolve, reject) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        child.kill('SIGKILL');
      }, timeout);
      child.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      // Its output may be held open by what it started: the end of the process is what counts, and a moment for the rest.
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        const settle = (): void => {
          if (late) {
            reject(
              new Error(`${file} ${args.join(' ')} had not ended after ${timeout} ms\n${this.stdout}${this.stderr}`),
            );
          } else {
            const status = code ?? 128 + (signalNumbers[signal ?? 'SIGKILL'] ?? 0);
            resolve({ code: status, stdout: this.stdout, stderr: this.stderr });
          }
        };
        const rest = setTimeout(settle, 500);
        child.once('close', () => {
          clearTimeout(rest);
          settle();
        });
      });
    });
    this.finished.catch(() => undefined);
  }
}

/** Runs a program to its end. Fails only where it cannot be started or takes too long; its exit code is the caller's to judge. */
export function runProgram(file: string, args: readonly string[], options?: RunOptions): Promise<Finished> {
  return new Program(file, args, options).finished;
}
