import { readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { callLibc, mustCallLibc } from './libc.ts';
import { SystemError } from './system-error.ts';

const F_GETFD = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** Keeps `fd` from children. Throws a system error (`EBADF`). */
export function setCloseOnExec(fd: number): void {
  const flags = mustCallLibc('fcntl', String(fd), (libc) => libc.fcntl(fd, F_GETFD, 0));
  if ((flags & FD_CLOEXEC) === 0) {
    mustCallLibc('fcntl', String(fd), (libc) => libc.fcntl(fd, F_SETFD, flags | FD_CLOEXEC));
  }
}

/**
 * Keeps every descriptor beyond stderr from children, those above all that this process was started with: Node
 * opens its own close-on-exec but passes inherited ones on. To be called before the first child is started.
 */
export function closeInheritedOnExec(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd <= 2) continue;
    const result = callLibc((libc) => libc.fcntl(fd, F_SETFD, FD_CLOEXEC));
    // The listing's own descriptor is closed by now.
    if (!result.ok && result.errno !== constants.errno.EBADF) throw new SystemError(result.errno, 'fcntl', name);
  }
}

/** Keeps the descriptors of a file that a library opened, and does not tell, from children. Throws `ENOENT` where there is no file. */
export function keepFileFromChildren(file: string): void {
  const real = realpathSync(file);
  for (const name of readdirSync('/proc/self/fd')) {
    if (targetOf(name) === real) setCloseOnExec(Number(name));
  }
}

function targetOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The listing's own descriptor is closed by now.
    return undefined;
  }
}
