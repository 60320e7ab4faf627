import { spawn } from 'node:child_process';
import { embeddedRuntime } from '../load/task-spec.ts';
import { mainProgram } from '../main-program.ts';

const budget = 20_000;
const command = ['sh', '-c', 'echo "hello from a task, process $$"; exit 7'];

/** The command as a user would type it. */
export const helloLine = `shimd run --rm --runtime ${embeddedRuntime} -- sh -c '${command.at(-1)}'`;
export const helloStatus = 7;

export interface Hello {
  readonly output: string;
  readonly status: number | null;
}

/** Runs one task through the ordinary command, and answers what it wrote and how it ended. */
export function hello(address: string, signal: AbortSignal): Promise<Hello> {
  const args = ['--address', address, 'run', '--rm', '--no-stdin', '--runtime', embeddedRuntime, '--', ...command];
  const child = spawn(process.execPath, [mainProgram, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: budget,
    signal,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ output, status }));
  });
}
