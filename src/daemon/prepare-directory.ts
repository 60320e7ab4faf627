import { chmod, chown, lstat, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isErrnoException } from '../shared/errors/index.ts';
import { exitCodes, StartError } from './exit-code.ts';

export interface DirectoryRules {
  /** What it is to the daemon, for messages. */
  readonly purpose: string;
  readonly mode: number;
  readonly group?: number | undefined;
}

/**
 * Makes sure that `directory` is there, this user's own, exactly of the mode asked for (the umask has no say), and can
 * be written. Parents that are missing are made with ordinary modes. Throws a StartError that says what to do.
 */
export async function prepareDirectory(directory: string, rules: DirectoryRules): Promise<void> {
  const failed = (reason: string) =>
    new StartError(`cannot use ${rules.purpose} directory ${directory}: ${reason}`, exitCodes.failure);
  try {
    await mkdir(path.dirname(directory), { recursive: true });
    await mkdir(directory, { mode: 0o700 }).catch((error: unknown) => {
      if (!(isErrnoException(error) && error.code === 'EEXIST')) throw error;
    });
    const problem = await problemWith(directory);
    if (problem !== undefined) throw failed(problem);
    await chmod(directory, rules.mode);
    if (rules.group !== undefined) await chown(directory, -1, rules.group);
    await probe(directory);
  } catch (error) {
    throw error instanceof StartError ? error : failed(reasonOf(error));
  }
}

/** Another user's directory, or a link that another user laid in /tmp, would hand that user the containers. */
async function problemWith(directory: string): Promise<string | undefined> {
  const self = process.getuid?.() ?? 0;
  const link = await lstat(directory);
  if (link.isSymbolicLink() && link.uid !== self && link.uid !== 0) {
    return `it is a link that belongs to user ${link.uid}; remove it or choose another directory`;
  }
  const target = await stat(directory);
  if (!target.isDirectory()) return 'it is not a directory';
  if (target.uid !== self) {
    return `it belongs to user ${target.uid}, not to ${self} who runs the daemon; change its owner or choose another directory`;
  }
  return undefined;
}

/** A full disk is no reason not to serve the tasks that run; one that cannot be written at all is. */
async function probe(directory: string): Promise<void> {
  const file = path.join(directory, `.probe-${process.pid}`);
  try {
    await writeFile(file, '', { mode: 0o600 });
  } finally {
    await rm(file, { force: true });
  }
}

function reasonOf(error: unknown): string {
  if (!isErrnoException(error)) return error instanceof Error ? error.message : String(error);
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
      return `permission denied (${error.message}); run as its owner or choose another directory`;
    case 'EROFS':
      return `its file system is read-only (${error.message}); choose another directory`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `its file system is full (${error.message}); free some space`;
    case 'ENOTDIR':
    case 'EEXIST':
      return `a part of its path is not a directory (${error.message})`;
    default:
      return error.message;
  }
}
