import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * The id of this run of the suites. Whatever a test leaves outside its own directory (namespaces, cgroups) carries it,
 * so that runs side by side do not meet and what is left behind can be told from other programs' things.
 */
export const testRun: string = (process.env.SHIMD_TEST_RUN ??= `t${randomBytes(3).toString('hex')}`);

/** Where every temporary file of this run is. */
export const runDirectory: string = path.join(tmpdir(), `shimd-${testRun}`);

/** Parent of every container's cgroup, as `linux.cgroupsPath` names it. */
export const cgroupParent = `/shimd-${testRun}`;

let made = 0;

/** A name that nothing else in this run has: for namespaces, containers, directories. */
export function uniqueName(prefix: string): string {
  made += 1;
  return `${prefix}-${testRun}-${process.pid.toString(36)}-${made.toString(36)}`;
}

/** A fresh directory below the run's. Its path is short: sockets go into it. */
export function makeDirectory(): string {
  made += 1;
  const directory = path.join(runDirectory, `${process.pid.toString(36)}-${made.toString(36)}`);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return directory;
}

const socketNotes = path.join(runDirectory, 'sockets');

/** Remembers where a shim listens, which is outside every test's directory: the check at the end looks for it. */
export function noteSocket(file: string): void {
  appendFileSync(socketNotes, `${file}\n`);
}

export function notedSockets(): string[] {
  if (!existsSync(socketNotes)) return [];
  const lines = readFileSync(socketNotes, 'utf8').split('\n');
  return [...new Set(lines.filter((line) => line !== ''))];
}
