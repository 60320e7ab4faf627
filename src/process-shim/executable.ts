import { accessSync, constants, type Stats, statSync } from 'node:fs';
import path from 'node:path';
import { isErrnoException, TaskError } from '../shared/errors/index.ts';

/**
 * The file that `command` stands for in a process with this environment and working directory. Throws, with code
 * UNKNOWN and the words that clients make exit statuses 126 and 127 of, where there is none that can be run.
 */
export function findExecutable(command: string, environment: readonly string[], cwd: string): string {
  if (command.includes('/')) {
    const file = path.resolve(cwd, command);
    const problem = problemWith(file);
    if (problem !== undefined) throw execError(command, problem);
    return file;
  }
  let denied = false;
  for (const directory of searchPath(environment)) {
    const file = path.resolve(cwd, directory, command);
    const problem = problemWith(file);
    if (problem === undefined) return file;
    denied ||= problem === 'permission denied';
  }
  throw execError(command, denied ? 'permission denied' : 'executable file not found in $PATH');
}

function execError(command: string, problem: string): TaskError {
  return new TaskError('UNKNOWN', `exec: ${JSON.stringify(command)}: ${problem}`);
}

/** Where shells look when the environment says nothing. */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function searchPath(environment: readonly string[]): string[] {
  const entry = environment.findLast((variable) => variable.startsWith('PATH='));
  return (entry?.slice('PATH='.length) ?? defaultPath).split(':').map((directory) => directory || '.');
}

function problemWith(file: string): string | undefined {
  let stat: Stats | undefined;
  try {
    stat = statSync(file, { throwIfNoEntry: false });
  } catch (error) {
    if (isErrnoException(error) && error.code === 'ENOTDIR') return 'not a directory';
    return 'permission denied';
  }
  if (stat === undefined) return 'no such file or directory';
  if (stat.isDirectory()) return 'is a directory';
  if (!stat.isFile() || (stat.mode & 0o111) === 0) return 'permission denied';
  try {
    accessSync(file, constants.X_OK);
    return undefined;
  } catch {
    return 'permission denied';
  }
}
