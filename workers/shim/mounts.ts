import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { failedPrecondition, isErrnoException } from '../../src/shared/errors/index.ts';
import { remaining } from '../../src/shared/util/deadline.ts';

export interface MountEntry {
  readonly mountPoint: string;
  readonly type: string;
}

/** /proc/self/mountinfo writes space, tab, newline and backslash as octal. */
const unescape = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Parses /proc/self/mountinfo. Pure. */
export function parseMountInfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ', 2);
    const mountPoint = before.split(' ')[4];
    const type = after.split(' ')[0];
    if (mountPoint !== undefined && type !== undefined) entries.push({ mountPoint: unescape(mountPoint), type });
  }
  return entries;
}

export async function readMounts(): Promise<MountEntry[]> {
  return parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
}

/** Mount points at or below a directory, last mounted first. The table has no symbolic links, the name given may. */
export async function mountsBelow(name: string): Promise<string[]> {
  let directory: string;
  try {
    directory = await realpath(name);
  } catch (error) {
    if (isErrnoException(error) && error.code === 'ENOENT') return [];
    throw error;
  }
  const entries = await readMounts();
  return entries
    .map((entry) => entry.mountPoint)
    .filter((point) => point === directory || point.startsWith(`${directory}${path.sep}`))
    .toReversed();
}

/**
 * Unmounts what a restore that was killed has left: runc has the root file system of the task mounted a second time then, in
 * its own directory of the task, and would remove everything in it with that directory.
 */
export async function unmountCriuRoot(namespace: string, task: string, deadline: number): Promise<void> {
  const left = `${path.sep}${path.join(namespace, task, 'criu-root')}`;
  for (const { mountPoint } of await readMounts()) {
    if (mountPoint.endsWith(left)) await unmountBelow(mountPoint, deadline);
  }
}

/**
 * Unmounts everything at and below a directory. One that is busy is detached, so that it goes with its last user.
 * Throws FAILED_PRECONDITION while something stays mounted: nothing below may be removed then.
 */
export async function unmountBelow(directory: string, deadline: number): Promise<void> {
  const points = await mountsBelow(directory);
  if (points.length === 0) return;
  const { execa } = await import('execa');
  let reason = '';
  for (const point of points) {
    for (const flags of [[], ['-l']]) {
      const result = await execa('umount', [...flags, point], {
        reject: false,
        timeout: Math.max(1, remaining(deadline)),
        killSignal: 'SIGKILL',
        stdin: 'ignore',
      });
      if (!result.failed) break;
      reason = result.stderr || result.shortMessage || '';
    }
  }
  const left = await mountsBelow(directory);
  if (left.length > 0) {
    throw failedPrecondition(`${left.join(', ')} cannot be unmounted (${reason}): unmount it, then delete again`);
  }
}
