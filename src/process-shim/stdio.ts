import { closeSync, constants, fstatSync, mkdirSync, openSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { invalidArgument, TaskError } from '../shared/errors/index.ts';

/** A process's stdio as its request named it; empty strings for none. */
export interface Stdio {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** Descriptors to be inherited by a process. They are blocking, as programs expect. */
export interface OpenStdio {
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;
  /**
   * The shim's own writing end of a stdin FIFO: while it is open the process sees no end of its input, whoever
   * else opens and closes the FIFO. Undefined where stdin is no FIFO.
   */
  readonly stdinKeeper: number | undefined;
}

/**
 * Opens a process's stdio without ever waiting for another side. FIFOs are handed to the process itself, so the shim
 * does not pass its bytes on and may die without ending them. Throws INVALID_ARGUMENT for `binary://` and other schemes.
 */
export function openStdio(stdio: Stdio): OpenStdio {
  const opened: number[] = [];
  const track = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  try {
    const input = openInput(stdio.stdin);
    track(input.fd);
    if (input.keeper !== undefined) track(input.keeper);
    const stdout = track(openOutput(stdio.stdout, 'stdout'));
    const stderr =
      stdio.stderr !== '' && stdio.stderr === stdio.stdout ? stdout : track(openOutput(stdio.stderr, 'stderr'));
    return { stdin: input.fd, stdout, stderr, stdinKeeper: input.keeper };
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw error;
  }
}

/** Closes what the process has inherited by now; the keeper stays. */
export function closeInherited(stdio: OpenStdio): void {
  for (const fd of new Set([stdio.stdin, stdio.stdout, stdio.stderr])) closeSync(fd);
}

/** Opens a FIFO's reading end, and a writing end that keeps it from ending. */
export function openInput(name: string, extraFlags = 0): { fd: number; keeper: number | undefined } {
  if (name === '') return { fd: openSync('/dev/null', constants.O_RDONLY), keeper: undefined };
  const file = pathOf(name, 'stdin');
  if (!isFifo(file)) return { fd: open(file, constants.O_RDONLY | extraFlags, 'stdin'), keeper: undefined };
  // With both ends open here no later open has to wait. The first is only for that.
  const both = open(file, constants.O_RDWR, 'stdin');
  try {
    const keeper = open(file, constants.O_WRONLY, 'stdin');
    try {
      return { fd: open(file, constants.O_RDONLY | extraFlags, 'stdin'), keeper };
    } catch (error) {
      closeSync(keeper);
      throw error;
    }
  } finally {
    closeSync(both);
  }
}

/** Opens a FIFO for reading and writing, which needs no reader and gets no SIGPIPE when one goes, or a file for appending. */
export function openOutput(name: string, stream: 'stdout' | 'stderr', extraFlags = 0): number {
  if (name === '') return openSync('/dev/null', constants.O_WRONLY);
  const file = pathOf(name, stream);
  if (isFifo(file)) return open(file, constants.O_RDWR | extraFlags, stream);
  if (name.startsWith('file:')) {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
    return open(file, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | extraFlags, stream);
  }
  return open(file, constants.O_WRONLY | constants.O_APPEND | extraFlags, stream);
}

function pathOf(name: string, stream: string): string {
  const shown = `${stream} ${JSON.stringify(name.slice(0, 300))}`;
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(name)?.[1]?.toLowerCase();
  switch (scheme) {
    case undefined:
    case 'fifo': {
      const file = scheme === undefined ? name : name.slice('fifo://'.length);
      if (path.isAbsolute(file)) return file;
      throw invalidArgument(`${shown} is not an absolute path: invalid argument`);
    }
    case 'file':
      try {
        return fileURLToPath(name.replace(/\?.*$/s, ''));
      } catch {
        throw invalidArgument(`${shown} is not the URI of a local file: invalid argument`);
      }
    case 'binary':
      throw invalidArgument(
        `${shown}: this runtime starts no logging programs; use a FIFO, file:// or nothing: invalid argument`,
      );
    default:
      throw invalidArgument(`${shown}: unknown scheme ${scheme}; use a FIFO, file:// or nothing: invalid argument`);
  }
}

function isFifo(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFIFO() ?? false;
}

function open(file: string, flags: number, stream: string): number {
  try {
    const fd = openSync(file, flags, 0o644);
    if (!fstatSync(fd).isDirectory()) return fd;
    closeSync(fd);
  } catch (error) {
    throw TaskError.from(error, `open ${stream} ${file}`);
  }
  throw invalidArgument(`${stream} ${file} is a directory: invalid argument`);
}
