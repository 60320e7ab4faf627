import { constants } from 'node:os';
import { bindLibc } from './libc.ts';
import { SystemError } from './system-error.ts';

/** What a program is started with. */
export interface LeanSpawn {
  /** An absolute path; nothing is looked for on PATH, and no shell is asked. */
  readonly file: string;
  /** Without the program's own name, which is `file`. */
  readonly args: readonly string[];
  /** All of it; what is undefined is left out. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  /** This process's descriptors that become its 0, 1 and 2; they stay open here. All others have to be closed on exec. */
  readonly stdio: readonly [number, number, number];
}

/** How a program ended: with a status, or by a signal of that name. */
export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

interface Calls {
  readonly actionsInit: (actions: Uint8Array) => number;
  readonly actionsDestroy: (actions: Uint8Array) => number;
  readonly addDup2: (actions: Uint8Array, from: number, to: number) => number;
  readonly addChdir: (actions: Uint8Array, directory: string) => number;
  readonly attributesInit: (attributes: Uint8Array) => number;
  readonly setFlags: (attributes: Uint8Array, flags: number) => number;
  readonly setDefault: (attributes: Uint8Array, signals: Uint8Array) => number;
  readonly setMask: (attributes: Uint8Array, signals: Uint8Array) => number;
  readonly spawn: (
    pid: number[],
    file: string,
    actions: Uint8Array,
    attributes: Uint8Array,
    args: readonly (string | null)[],
    environment: readonly (string | null)[],
  ) => number;
  readonly waitpid: (pid: number, status: Uint8Array, options: number) => number;
  readonly close: (fd: number) => number;
  readonly pipe2: (ends: Uint8Array, flags: number) => number;
  readonly errno: () => number;
}

const actions = 'posix_spawn_file_actions';
const attributes = 'posix_spawnattr';

/** More than any C library's own structures take: glibc's have 80, 336 and 128 bytes. */
const structure = 1024;
const signalSet = 128;

/** The same in glibc and musl. */
const flags = { setSignalMask: 0x08, setSignalDefaults: 0x04, setSession: 0x80 } as const;
const WNOHANG = 1;
const closeOnExec = 0o2_000_000;

/** An error where the C library lacks one of them. */
let calls: Calls | Error | undefined;

function bound(): Calls {
  calls ??= bind();
  if (calls instanceof Error) throw calls;
  return calls;
}

function bind(): Calls | Error {
  try {
    return bindLibc<Calls>((func, errno) => ({
      actionsInit: func(`int ${actions}_init(void *actions)`),
      actionsDestroy: func(`int ${actions}_destroy(void *actions)`),
      addDup2: func(`int ${actions}_adddup2(void *actions, int from, int to)`),
      addChdir: func(`int ${actions}_addchdir_np(void *actions, const char *path)`),
      attributesInit: func(`int ${attributes}_init(void *attributes)`),
      setFlags: func(`int ${attributes}_setflags(void *attributes, short flags)`),
      setDefault: func(`int ${attributes}_setsigdefault(void *attributes, const void *signals)`),
      setMask: func(`int ${attributes}_setsigmask(void *attributes, const void *signals)`),
      spawn: func(
        'int posix_spawn(_Out_ int *pid, const char *file, void *actions, void *attributes, const char **args, const char **environment)',
      ),
      waitpid: func('int waitpid(int pid, void *status, int options)'),
      pipe2: func('int pipe2(void *ends, int flags)'),
      close: func('int close(int fd)'),
      errno,
    }));
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** False where the C library lacks one of the calls: glibc has that for the working directory since 2.29. */
export function canSpawnLean(): boolean {
  calls ??= bind();
  return !(calls instanceof Error);
}

/** posix_spawn and what prepares it return the errno. */
function must(call: string, errno: number, subject?: string): void {
  if (errno !== 0) throw new SystemError(errno, call, subject);
}

/** A pipe that no program inherits: the end to read from, and the end to write to. */
export function makePipe(): readonly [number, number] {
  const libc = bound();
  const ends = new Int32Array(2);
  if (libc.pipe2(new Uint8Array(ends.buffer), closeOnExec) < 0) throw new SystemError(libc.errno(), 'pipe2');
  const [read = -1, write = -1] = ends;
  return [read, write];
}

/** Closes what `makePipe` made: a thread of Node's warns of descriptors that it closes and has not opened itself. */
export function closePipeEnd(fd: number): void {
  bound().close(fd);
}

/** One for all programs: nothing in it is a program's own. */
let sharedAttributes: Uint8Array | undefined;

function attributesOf(libc: Calls): Uint8Array {
  if (sharedAttributes === undefined) {
    const made = new Uint8Array(structure);
    must(`${attributes}_init`, libc.attributesInit(made));
    must(`${attributes}_setsigdefault`, libc.setDefault(made, new Uint8Array(signalSet).fill(0xff)));
    must(`${attributes}_setsigmask`, libc.setMask(made, new Uint8Array(signalSet)));
    const wanted = flags.setSession | flags.setSignalDefaults | flags.setSignalMask;
    must(`${attributes}_setflags`, libc.setFlags(made, wanted));
    sharedAttributes = made;
  }
  return sharedAttributes;
}

/**
 * Starts a program in a session of its own and returns its pid, without copying this process's tables of memory: Node's own spawn
 * forks, which takes some milliseconds of a large process and has each of its threads fault on every page that it writes to
 * afterwards. Whoever starts it has to ask `endOf` until it has ended: nobody else takes its end from the kernel.
 *
 * Throws what the kernel refuses, such as ENOENT, EACCES or ENOEXEC; nothing is started then. To be called where `canSpawnLean`.
 */
export function spawnLean(program: LeanSpawn): number {
  const libc = bound();
  const { file, args, environment, directory, stdio } = program;
  const steps = new Uint8Array(structure);
  must(`${actions}_init`, libc.actionsInit(steps));
  try {
    must(`${actions}_addchdir_np`, libc.addChdir(steps, directory));
    for (const [to, from] of stdio.entries()) must(`${actions}_adddup2`, libc.addDup2(steps, from, to));
    const variables = Object.entries(environment).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value}`],
    );
    const pid = [0];
    must('spawn', libc.spawn(pid, file, steps, attributesOf(libc), [file, ...args, null], [...variables, null]), file);
    return pid[0] ?? 0;
  } finally {
    libc.actionsDestroy(steps);
  }
}

/** Of two names of one signal the first is the usual one. */
const signalNames = new Map(
  Object.entries(constants.signals)
    .toReversed()
    .map(([name, number]) => [number, name]),
);

/**
 * How a program that `spawnLean` started has ended; undefined while it runs. It has ended for the kernel as well when this has
 * told so: its pid can be another's from then on, so it is not to be asked again. Where somebody else has taken its end, that is unknown:
 * neither status nor signal.
 */
export function endOf(pid: number): ProgramEnd | undefined {
  // 0 and negative numbers mean whole groups to waitpid.
  if (!Number.isSafeInteger(pid) || pid <= 0) throw new RangeError(`not a process id: ${pid}`);
  const status = new Int32Array(1);
  const found = bound().waitpid(pid, new Uint8Array(status.buffer), WNOHANG);
  if (found === 0) return undefined;
  if (found !== pid) return { code: null, signal: null };
  const [word = 0] = status;
  const signal = word & 0x7f;
  if (signal === 0) return { code: (word >> 8) & 0xff, signal: null };
  return { code: null, signal: signalNames.get(signal) ?? `signal ${signal}` };
}
