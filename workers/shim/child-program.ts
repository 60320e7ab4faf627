import { type ChildProcess, spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { TaskError } from '../../src/shared/errors/index.ts';
import {
  canSpawnLean,
  closePipeEnd,
  endOf,
  makePipe,
  type ProgramEnd,
  spawnLean,
  withNofileSoft,
} from '../../src/shared/host/index.ts';

export interface ProgramStart {
  /** Absolute path. */
  readonly binary: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly input: Uint8Array;
}

export type ChildEnd =
  | ({ readonly kind: 'exited' } & ProgramEnd)
  /** It was not started. */
  | { readonly kind: 'failed'; readonly reason: string };

/** A program that was started; never through a shell, in a session of its own: it outlives this thread and the daemon. */
export interface ChildProgram {
  readonly pid: number | undefined;
  /** What it prints. What it leaves running may hold them open after its end. */
  readonly outputs: { readonly stdout: Readable | null; readonly stderr: Readable | null };
  /** Resolves, never rejects, when the program itself has ended. */
  readonly ended: Promise<ChildEnd>;
}

/** As much input as any pipe takes at once. */
const pipeRoom = 4096;

/** Milliseconds until the first look at a program that runs, and between two looks at most. */
const firstLook = 10;
const longestLook = 100;

/** Starts a program. Node's limit of descriptors is not handed on: a shim would hand it on to every task. */
export function startProgram(start: ProgramStart): ChildProgram {
  try {
    return withNofileSoft(() => (canSpawnLean() ? startLean(start) : undefined) ?? startByNode(start));
  } catch (error) {
    const reason = TaskError.from(error).message;
    return {
      pid: undefined,
      outputs: { stdout: null, stderr: null },
      ended: Promise.resolve({ kind: 'failed', reason }),
    };
  }
}

/** Without a fork; undefined where the input is too long for that. */
function startLean(start: ProgramStart): ChildProgram | undefined {
  const { binary: file, args, directory, environment, input } = start;
  if (input.length > pipeRoom) return undefined;
  const open = new Set<number>();
  const pipe = (): readonly [number, number] => {
    const ends = makePipe();
    for (const end of ends) open.add(end);
    return ends;
  };
  try {
    const [[stdin, fill], [stdout, outputEnd], [stderr, errorEnd]] = [pipe(), pipe(), pipe()];
    if (input.length > 0) writeSync(fill, input);
    open.delete(fill);
    closePipeEnd(fill);
    const pid = spawnLean({ file, args, directory, environment, stdio: [stdin, outputEnd, errorEnd] });
    const [out, err] = [stdout, stderr].map((fd) => {
      const socket = new Socket({ fd, readable: true, writable: false });
      open.delete(fd);
      return socket;
    });
    const outputs = { stdout: out ?? null, stderr: err ?? null };
    return { pid, outputs, ended: untilEnded(pid, outputs) };
  } finally {
    for (const fd of open) closePipeEnd(fd);
  }
}

/** The kernel tells nobody of its end; that it has closed its outputs mostly is it. Otherwise it is looked at, less and less often. */
function untilEnded(pid: number, outputs: ChildProgram['outputs']): Promise<ChildEnd> {
  return new Promise((resolve) => {
    let over = false;
    let pause = firstLook;
    let timer: NodeJS.Timeout | undefined;
    const look = () => {
      clearTimeout(timer);
      const end = endOf(pid);
      if (end === undefined) {
        timer = setTimeout(look, pause);
        pause = Math.min(pause * 2, longestLook);
        return;
      }
      over = true;
      resolve({ kind: 'exited', ...end });
    };
    timer = setTimeout(look, pause);
    const lookSoon = () => {
      pause = 1;
      if (!over) look();
    };
    for (const output of Object.values(outputs)) output?.once('close', lookSoon);
  });
}

/** By a fork: see `spawnLean`. */
function startByNode({ binary, args, directory, environment, input }: ProgramStart): ChildProgram {
  const child: ChildProcess = spawn(binary, args, { cwd: directory, env: environment, stdio: 'pipe', detached: true });
  // It may end without having read its input. Without descriptors to be had it has no streams.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  const ended = new Promise<ChildEnd>((resolve) => {
    child.once('error', (error) => resolve({ kind: 'failed', reason: error.message }));
    child.once('exit', (code, signal) => resolve({ kind: 'exited', code, signal }));
  });
  return { pid: child.pid, outputs: { stdout: child.stdout, stderr: child.stderr }, ended };
}
