import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { SystemError } from './system-error.ts';

/** The calls of the C library that Node has no door to. Each returns what C returns: -1 for an error. */
interface Libc {
  mkfifo(path: string, mode: number): number;
  flock(fd: number, operation: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  waitpid(pid: number, status: Uint8Array, options: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  fallocate(fd: number, mode: number, offset: number, length: number): number;
  /** glibc's alone; elsewhere it does nothing. */
  malloc_trim(keep: number): number;
  /** Like malloc_trim. */
  mallopt(parameter: number, value: number): number;
  prlimit(pid: number, resource: number, next: Uint8Array | null, previous: Uint8Array | null): number;
  socket(domain: number, type: number, protocol: number): number;
  sendto(fd: number, message: Uint8Array, length: number, flags: number, to: Uint8Array, toLength: number): number;
}

/** Makes a call of a C function out of its prototype. Throws where the C library has none of that name. */
type Func = ReturnType<typeof Koffi.load>['func'];

interface Binding {
  readonly libc: Libc;
  readonly lastErrno: () => number;
}

let binding: Binding | undefined;

/** A function that not every C library has; without it a call does nothing. */
function optional<Argument>(
  library: ReturnType<typeof Koffi.load>,
  prototype: string,
): (...args: Argument[]) => number {
  try {
    return library.func(prototype);
  } catch {
    return () => 0;
  }
}

/** Loads the FFI library at the first call that needs it: programs that need none do not pay for it. */
function load(): { readonly koffi: typeof Koffi; readonly library: ReturnType<typeof Koffi.load> } {
  // Not an import: loading has to be lazy and, for callers that cannot wait (a lock, a reap), synchronous.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what require returns has no type.
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  // No name: the symbols of this very process, whichever C library it is linked to.
  return { koffi, library: koffi.load(null) };
}

/** Binds calls that only one module needs, when it needs them. Throws where the C library lacks one. */
export function bindLibc<T>(bind: (func: Func, errno: () => number) => T): T {
  const { koffi, library } = load();
  return bind(library.func.bind(library), () => koffi.errno());
}

function bound(): Binding {
  if (binding !== undefined) return binding;
  const { koffi, library } = load();
  const fcntl = library.func('int fcntl(int fd, int command, ...)');
  binding = {
    lastErrno: () => koffi.errno(),
    libc: {
      mkfifo: library.func('int mkfifo(const char *path, unsigned int mode)'),
      flock: library.func('int flock(int fd, int operation)'),
      getsockopt: library.func('int getsockopt(int fd, int level, int name, void *value, void *length)'),
      setsockopt: library.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
      waitpid: library.func('int waitpid(int pid, void *status, int options)'),
      fcntl: (fd, command, argument) => Number(fcntl(fd, command, 'int', argument)),
      fallocate: library.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)'),
      malloc_trim: optional<number>(library, 'int malloc_trim(size_t keep)'),
      mallopt: optional<number>(library, 'int mallopt(int parameter, int value)'),
      prlimit: library.func('int prlimit(int pid, int resource, const void *next, void *previous)'),
      socket: library.func('int socket(int domain, int type, int protocol)'),
      sendto: library.func(
        'int64_t sendto(int fd, const void *message, size_t length, int flags, const void *to, uint32_t toLength)',
      ),
    },
  };
  return binding;
}

/** A call's result: its value, or the errno that it left. */
export type LibcResult = { readonly ok: true; readonly value: number } | { readonly ok: false; readonly errno: number };

export function callLibc(call: (libc: Libc) => number): LibcResult {
  const { libc, lastErrno } = bound();
  const value = call(libc);
  return value < 0 ? { ok: false, errno: lastErrno() } : { ok: true, value };
}

/** Like `callLibc`; an error is thrown as Node throws its own: `code` is the errno's name. */
export function mustCallLibc(syscall: string, subject: string | undefined, call: (libc: Libc) => number): number {
  const result = callLibc(call);
  if (!result.ok) throw new SystemError(result.errno, syscall, subject);
  return result.value;
}
