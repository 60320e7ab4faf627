import { describe, expect, test } from 'vitest';
import { statusOfFailedStart } from '../../../src/cli/exit-status.ts';
import { TaskError } from '../../../src/shared/errors/index.ts';

const create = 'OCI runtime create failed: runc create failed: unable to start container process: ';
const exec = 'OCI runtime exec failed: exec failed: unable to start container process: ';

describe('the exit code of a start that failed', () => {
  test.each([
    [`${create}exec: "nope": executable file not found in $PATH: unknown`, 127],
    [`${create}exec: "/nope/x": stat /nope/x: no such file or directory: unknown`, 127],
    [`${create}exec: "/etc/passwd/x": stat /etc/passwd/x: not a directory: unknown`, 127],
    ['crun: executable file `nope` not found in $PATH: No such file or directory', 127],
    ['error finding executable "nope" in PATH [/bin]: no such file or directory', 127],
    [`${exec}exec: "nope": executable file not found in $PATH: unknown`, 127],
    [`${create}exec: "/etc/passwd": permission denied: unknown`, 126],
    [`${create}exec: "/etc": is a directory: unknown`, 126],
    [`${create}exec /script: exec format error: unknown`, 126],
  ])('is that of the program where the runtime says %j', (message, status) => {
    expect(statusOfFailedStart(new TaskError('UNKNOWN', message))).toBe(status);
  });

  test.each([
    `${create}error during container init: mkdir /etc/passwd: not a directory: unknown`,
    `${exec}chdir to cwd ("/tmp") set in config.json failed: no such file or directory: unknown`,
    `${create}error mounting "/nope" to rootfs at "/x": stat /nope: no such file or directory: unknown`,
    'cannot reach the daemon at /run/shimd/shimd.sock: there is no such socket',
    'container "x": already exists',
  ])('is 125 where it is not about the program: %j', (message) => {
    expect(statusOfFailedStart(new TaskError('UNKNOWN', message))).toBe(125);
  });

  test('is 125 for anything that is no error of a call', () => {
    expect(statusOfFailedStart(new Error('exec: "x": permission denied'))).toBe(125);
  });
});
