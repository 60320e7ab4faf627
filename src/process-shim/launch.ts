import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { TaskError } from '../shared/errors/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import { deferred } from '../shared/util/deferred.ts';
import { findExecutable } from './executable.ts';
import { hostTool } from './host-tool.ts';
import { type Identity, identityOf } from './identity.ts';
import { signalNumber } from './signals.ts';
import type { ProcessSpec } from './spec.ts';
import type { OpenStdio } from './stdio.ts';

export interface LaunchRequest {
  readonly spec: ProcessSpec;
  readonly stdio: OpenStdio;
  /** True where stdin is a terminal that the process is to control. */
  readonly terminal: boolean;
  /** Take the shim's own user where the spec's cannot be had. */
  readonly ignoreIsolation: boolean;
  /** Variables beside the spec's. */
  readonly extraEnvironment: readonly string[];
  /** Called once, with the status as a shell would give it. Never before `launch` has returned its promise. */
  onExit(status: number): void;
}

/** A process that exists and waits: nothing of its program has run. */
export interface Launched {
  readonly pid: number;
  /** Lets the program run; resolves when the waiting shell has given way to it. May be called once. */
  open(): Promise<void>;
}

/** How long the waiting shell may take to come up, and to give way. */
const launchBudget = 10_000;

/** The descriptor over which the waiting shell says that it is there, and hears when to go on. */
const gateDescriptor = 3;

/** What a shell puts into the environment of its own accord. */
const shellVariables = ['PWD', 'OLDPWD', 'SHLVL', '_'];

/**
 * Starts a process that stops short of its program. A small shell holds the pid, already with the user, limits,
 * directory and descriptors of the program, and replaces itself by it later. If the shim dies first the shell ends.
 * Throws what hinders the program (UNKNOWN, in the words that clients know) or the set-up.
 */
export async function launch(request: LaunchRequest): Promise<Launched> {
  const { spec } = request;
  const identity = identityOf(spec, { ignore: request.ignoreIsolation });
  assertDirectory(spec.cwd);
  findExecutable(spec.args[0] ?? '', spec.environment, spec.cwd);
  const { file, args, options } = commandOf(request, identity);
  const child = spawnChild(file, args, options);
  const gate = gateOf(child);
  const ready = deferred<void>();
  const opened = deferred<void>();
  child.once('exit', (code, signal) => {
    const status = statusOf(code, signal);
    ready.reject(new TaskError('UNKNOWN', `the process ended with status ${status} while it was set up`));
    request.onExit(status);
  });
  child.once('error', (error) => ready.reject(TaskError.from(error, `start ${file}`)));
  gate?.once('data', () => ready.resolve());
  // A shell that is gone resets the gate: its exit says so already.
  gate?.on('error', () => undefined);
  gate?.once('close', () => opened.resolve());
  ready.promise.catch(() => undefined);
  try {
    await until(ready.promise, { deadline: deadlineIn(launchBudget), doing: `start ${spec.args[0]}` });
    const { pid } = child;
    if (pid === undefined || !gate) throw new TaskError('INTERNAL', `start ${spec.args[0]}: the process has no pid`);
    if (spec.oomScoreAdj !== undefined) setOomScore(pid, spec.oomScoreAdj);
    return {
      pid,
      open: () => {
        gate.end('\n');
        return until(opened.promise, { deadline: deadlineIn(launchBudget), doing: `start ${spec.args[0]}` });
      },
    };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

/** 128 and the signal's number for a process that was killed. */
function statusOf(code: number | null, signal: NodeJS.Signals | null): number {
  if (signal !== null) return 128 + signalNumber(signal);
  return code ?? 255;
}

function spawnChild(file: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  try {
    return spawn(file, args, options);
  } catch (error) {
    throw TaskError.from(error, `start ${file}`);
  }
}

function gateOf(child: ChildProcess): Socket | undefined {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a 'pipe' beyond stderr is a socket; the types do not say so.
  return (child.stdio[gateDescriptor] ?? undefined) as Socket | undefined;
}

function commandOf(
  request: LaunchRequest,
  identity: Identity,
): { file: string; args: readonly string[]; options: SpawnOptions } {
  const { spec, stdio, terminal } = request;
  const environment = [...spec.environment, ...request.extraEnvironment];
  const wrapped = wrappersOf(request, identity);
  const [file = '', ...args] = [...wrapped.command, '/bin/sh', '-c', scriptOf(spec), 'sh', ...programOf(spec)];
  return {
    file,
    args,
    options: {
      cwd: spec.cwd,
      env: Object.fromEntries(environment.flatMap(variable)),
      // A session of its own; with a terminal setsid(1) makes it, and takes the terminal.
      detached: !terminal,
      stdio: [stdio.stdin, stdio.stdout, stdio.stderr, 'pipe'],
      ...(identity.switches && !wrapped.switchesUser ? { uid: identity.uid, gid: identity.gid } : {}),
    },
  };
}

/** The programs that set up what spawn cannot, each of which gives way to the next. */
function wrappersOf(request: LaunchRequest, identity: Identity): { command: string[]; switchesUser: boolean } {
  const { spec } = request;
  const command: string[] = [];
  if (request.terminal) command.push(hostTool('setsid', 'a terminal'), '--ctty');
  if (spec.rlimits.length > 0) {
    const flags = spec.rlimits.map(
      ({ type, soft, hard }) => `--${type.slice('RLIMIT_'.length).toLowerCase()}=${limit(soft)}:${limit(hard)}`,
    );
    command.push(hostTool('prlimit', 'process.rlimits'), ...flags, '--');
  }
  // Limits are raised with root's rights, so the user has to be switched after them.
  const switchesUser =
    identity.switches && (spec.rlimits.length > 0 || identity.additionalGids.length > 0 || spec.noNewPrivileges);
  if (switchesUser || spec.noNewPrivileges) {
    command.push(hostTool('setpriv', 'additional groups, limits of another user or noNewPrivileges'));
    if (switchesUser) {
      const groups = identity.additionalGids;
      command.push(`--reuid=${identity.uid}`, `--regid=${identity.gid}`);
      command.push(groups.length > 0 ? `--groups=${groups.join(',')}` : '--clear-groups');
    }
    if (spec.noNewPrivileges) command.push('--no-new-privs');
    command.push('--');
  }
  return { command, switchesUser };
}

/** Infinity is the highest 64-bit number in a spec, which JSON rounds up. */
function limit(value: number): string {
  return value >= 2 ** 63 ? 'unlimited' : String(value);
}

function scriptOf(spec: ProcessSpec): string {
  const given = new Set(spec.environment.map((entry) => entry.split('=', 1)[0]));
  const limited = spec.rlimits.some(({ type }) => type === 'RLIMIT_NOFILE');
  const umask = (spec.umask ?? 0o022).toString(8).padStart(3, '0');
  return [
    // Node has raised its own soft limit, and the kernel hands that down.
    ...(limited ? [] : ['ulimit -Sn 1024 2>/dev/null']),
    `umask ${umask}`,
    `echo >&${gateDescriptor}`,
    `read -r _ <&${gateDescriptor} || exit 143`,
    `exec ${gateDescriptor}<&-`,
    ...shellVariables.filter((name) => !given.has(name)).map((name) => `unset ${name}`),
    'exec "$@"',
  ].join('; ');
}

/** The program's arguments; a shell drops variables whose names it could not use itself, so env(1) sets those. */
function programOf(spec: ProcessSpec): readonly string[] {
  const dropped = spec.environment.filter((entry) => !/^[A-Za-z_][A-Za-z0-9_]*=/.test(entry) && entry.includes('='));
  const program = [...spec.args];
  return dropped.length === 0 ? program : [hostTool('env', 'an unusual variable name'), ...dropped, ...program];
}

function variable(entry: string): [[string, string]] | [] {
  const at = entry.indexOf('=', 1);
  return at < 0 ? [] : [[entry.slice(0, at), entry.slice(at + 1)]];
}

function assertDirectory(directory: string): void {
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return;
  const problem = stat === undefined ? 'no such file or directory' : 'not a directory';
  throw new TaskError('UNKNOWN', `chdir to cwd (${JSON.stringify(directory)}) set in the spec failed: ${problem}`);
}

function setOomScore(pid: number, score: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(score));
  } catch (error) {
    throw TaskError.from(error, `set process.oomScoreAdj to ${score}`);
  }
}
