import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { binaryName } from './about.ts';
import type { CommandLine } from './command-line.ts';

/** Time that the serving process has until it listens. */
const startBudget = 20_000;

/** The serving process writes to this descriptor once: `+` and the reply for stdout, or `-` and why it cannot serve. */
export const readyDescriptor = 3;

/**
 * The `start` action: starts the serving process in a session of its own and passes on its reply. It hands its stdin
 * through and decodes nothing, so that only one process loads the protocol.
 */
export async function start(commandLine: CommandLine): Promise<Uint8Array> {
  const log = openLog(path.resolve(commandLine.bundle || '.', 'log'));
  const main = fileURLToPath(new URL('./main.js', import.meta.url));
  const child = spawn(process.execPath, [...serveFlags, main, ...serveArguments(commandLine)], {
    argv0: binaryName,
    detached: true,
    stdio: [0, log, log, 'pipe'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
  });
  closeSync(log);
  const ready = child.stdio[readyDescriptor];
  const chunks: Buffer[] = [];
  const answer = new Promise<Buffer>((resolve, reject) => {
    child.once('error', reject);
    ready?.on('data', (chunk: Buffer) => chunks.push(chunk));
    ready?.once('error', reject);
    ready?.once('close', () => resolve(Buffer.concat(chunks)));
  });
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    ready?.destroy(new Error(`the serving process did not listen within ${startBudget} ms; see the bundle's log`));
  }, startBudget);
  try {
    const message = await answer;
    const text = message.subarray(1);
    if (message[0] === '+'.charCodeAt(0)) return text;
    throw new Error(
      text.length > 0 ? text.toString() : "the serving process ended while it started; see the bundle's log",
    );
  } finally {
    clearTimeout(timer);
    child.unref();
  }
}

/** The heap is kept small from the start: a shim holds little and lives long, and there may be many. */
const serveFlags = ['--max-semi-space-size=1', '--initial-old-space-size=8', '--optimize-for-size', '--v8-pool-size=1'];

function serveArguments(commandLine: CommandLine): string[] {
  const { namespace, id, address, socket, bundle, debug } = commandLine;
  const flags = { namespace, id, address, socket, bundle };
  return [
    ...Object.entries(flags).flatMap(([name, value]) => (value ? [`-${name}`, value] : [])),
    ...(debug ? ['-debug'] : []),
    'serve',
  ];
}

/** Opens the bundle's `log`: a FIFO without waiting for its reader and without ever waiting for it later. */
function openLog(file: string): number {
  const isFifo = statSync(file, { throwIfNoEntry: false })?.isFIFO() ?? false;
  const flags = isFifo
    ? constants.O_RDWR | constants.O_NONBLOCK
    : constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;
  return openSync(file, flags, 0o600);
}
