import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Stdio } from '../shared/messages/index.ts';
import type { RestartConfig } from './config.ts';
import type { Launch } from './record.ts';

/**
 * Where the output of a restarted task goes. A URI that a caller of the socket gave when it had the task made is used again.
 * One that only a label has is not trusted: clients copy the labels of images to containers, and whoever makes an image must
 * not choose a program that runs here, or a file that is written to. `refused` says why a label's was left out; the task
 * runs all the same, its output dropped.
 */
export async function logTarget(
  label: string,
  launch: Launch | undefined,
  how: { readonly terminal: boolean; readonly config: RestartConfig },
): Promise<{ readonly stdio: Stdio; readonly refused?: string }> {
  const { terminal, config } = how;
  const given = [launch?.stdout ?? '', launch?.stderr ?? ''].filter((target) => /^(file|binary):/.test(target));
  const of = (stdout: string, stderr: string): Stdio => ({
    stdin: '',
    stdout,
    stderr: terminal ? '' : stderr,
    terminal,
  });
  if (label === '') {
    const [stdout = '', stderr = stdout] = given;
    return { stdio: of(stdout, stderr) };
  }
  if (terminal && label.startsWith('file:')) {
    return { stdio: of('', ''), refused: 'shims write what a terminal shows to no file' };
  }
  if (given.includes(label)) return { stdio: of(label, label) };
  const refused = await whyRefused(label, config);
  return refused === undefined ? { stdio: of(label, label) } : { stdio: of('', ''), refused };
}

async function whyRefused(label: string, config: RestartConfig): Promise<string | undefined> {
  if (label.startsWith('binary://')) {
    return config.binaryLogs ? undefined : 'programs are taken from labels only where restart.binary_logs allows it';
  }
  let file: string;
  try {
    file = fileURLToPath(label);
  } catch {
    return 'it is no file:// and no binary:// URI with an absolute path';
  }
  // Of the directory as it really is: a link in it must not lead out.
  const real = await realpath(path.dirname(file)).catch(() => undefined);
  if (real === undefined) return `there is no directory ${path.dirname(file)}`;
  const target = await realpath(file).catch(() => path.join(real, path.basename(file)));
  const allowed = config.logDirectories.some((directory) => target.startsWith(`${path.resolve(directory)}${path.sep}`));
  return allowed ? undefined : 'files are taken from labels only below restart.log_directories';
}
