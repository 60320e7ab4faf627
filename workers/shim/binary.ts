import { accessSync, constants } from 'node:fs';
import type { Readable } from 'node:stream';
import { deadlineExceeded, TaskError } from '../../src/shared/errors/index.ts';
import type { RuntimeInfo, WorkerSettings } from '../../src/shared/messages/index.ts';
import { containerd } from '../../src/shared/proto/gen/task.js';
import { remaining } from '../../src/shared/util/deadline.ts';
import { unreachable } from '../../src/shared/util/unreachable.ts';
import { type Any, plainAny } from '../../src/shared/wire/any.ts';
import { plainTimestamp, type Timestamp, timestampNow } from '../../src/shared/wire/timestamp.ts';
import { type ChildEnd, startProgram } from './child-program.ts';
import { encodeAny } from './encode-any.ts';
import { logTail } from './shim-log.ts';

/** More output than any shim's action has to say. */
const maxOutput = 4 << 20;
/** How much of what a failed action printed is quoted. */
const quoted = 2000;

/** How long the output of an action that has ended may still take to arrive, in milliseconds. */
const outputGrace = 250;

type ActionEnd = ChildEnd | { readonly kind: 'late' };

interface ActionRun {
  readonly binary: string;
  readonly args: readonly string[];
  /** What it works in; `/` where there is no bundle. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly input: Uint8Array;
  /** Milliseconds since 1970. */
  readonly deadline: number;
  readonly name: string;
}

export interface ActionTarget {
  readonly binary: string;
  readonly namespace: string;
  /** The shim's id for `start`, the task's for `delete`. */
  readonly id: string;
  readonly bundle: string;
}

export interface DeadShimExit {
  readonly pid: number;
  readonly status: number;
  readonly exitedAt: Timestamp;
}

/** Environment of every run of a shim's binary, on top of our own. */
function environmentOf(settings: WorkerSettings, namespace: string): Record<string, string | undefined> {
  return {
    GOMAXPROCS: '2',
    MAX_SHIM_VERSION: '2',
    TTRPC_ADDRESS: settings.eventsAddress,
    GRPC_ADDRESS: settings.apiAddress,
    NAMESPACE: namespace,
    // What the service manager tells this daemon is nobody else's.
    NOTIFY_SOCKET: undefined,
    LISTEN_FDS: undefined,
    LISTEN_PID: undefined,
    ...settings.shimEnvironment,
  };
}

function argumentsOf(settings: WorkerSettings, target: ActionTarget, action: 'start' | 'delete'): string[] {
  return [
    '-namespace',
    target.namespace,
    '-address',
    settings.apiAddress,
    '-publish-binary',
    settings.publishBinary,
    '-id',
    target.id,
    ...(action === 'delete' ? ['-bundle', target.bundle] : []),
    ...(settings.debug ? ['-debug'] : []),
    action,
  ];
}

/** The end of a text, on as many lines as it has. */
function tail(text: string): string {
  const trimmed = text.trim();
  return trimmed.length > quoted ? `…${trimmed.slice(-quoted)}` : trimmed;
}

/** Collects a stream's first `maxOutput` bytes, and reads the rest. */
function collect(stream: Readable | null): { read(): Buffer; readonly closed: Promise<void> } {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (size < maxOutput) chunks.push(chunk);
    size += chunk.length;
  });
  stream?.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    if (stream === null) resolve();
    else stream.once('close', () => resolve());
  });
  return { read: () => Buffer.concat(chunks).subarray(0, maxOutput), closed };
}

/**
 * Runs the binary to its end; never through a shell. At the deadline its process group gets SIGKILL. What the action
 * leaves running may keep its output open: the end of the action counts, not of its output.
 */
async function run(action: ActionRun): Promise<{ stdout: Uint8Array; stderr: string }> {
  const { binary, name } = action;
  const what = `${name} of ${binary}`;
  try {
    accessSync(binary, constants.X_OK);
  } catch (cause) {
    throw new TaskError('UNKNOWN', `${what}: the shim is not installed or not executable`, { cause });
  }
  const budget = remaining(action.deadline);
  const child = startProgram({ ...action, environment: { ...process.env, ...action.environment } });
  const { pid, outputs } = child;
  const stdout = collect(outputs.stdout);
  const stderr = collect(outputs.stderr);
  const timers: NodeJS.Timeout[] = [];
  const after = (milliseconds: number) =>
    new Promise<void>((resolve) => timers.push(setTimeout(resolve, milliseconds)));
  const whole = child.ended.then(async (end): Promise<ActionEnd> => {
    if (end.kind === 'exited') await Promise.race([Promise.all([stdout.closed, stderr.closed]), after(outputGrace)]);
    return end;
  });
  const end = await Promise.race([whole, after(budget).then((): ActionEnd => ({ kind: 'late' }))]);
  for (const timer of timers) clearTimeout(timer);
  switch (end.kind) {
    case 'late':
      killGroup(pid);
      throw deadlineExceeded(`${what}: it did not end within ${budget} ms and was killed: deadline exceeded`);
    case 'failed':
      throw new TaskError('UNKNOWN', `${what}: ${end.reason}`);
    case 'exited': {
      if (end.code === 0) return { stdout: stdout.read(), stderr: stderr.read().toString('utf8') };
      const how = end.signal === null ? `exit status ${end.code}` : `killed by ${end.signal}`;
      const printed = tail(stderr.read().toString('utf8')) || tail(stdout.read().toString('utf8'));
      throw new TaskError('UNKNOWN', `${what}: ${printed === '' ? how : `${printed}: ${how}`}`);
    }
    default:
      return unreachable(end);
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The whole group is gone.
  }
}

/** Runs the `start` action with `input` on stdin and answers what it printed. */
export async function runStart(
  settings: WorkerSettings,
  target: ActionTarget,
  input: Uint8Array,
  deadline: number,
): Promise<Uint8Array> {
  try {
    const { stdout } = await run({
      binary: target.binary,
      args: argumentsOf(settings, target, 'start'),
      directory: target.bundle,
      environment: environmentOf(settings, target.namespace),
      input,
      deadline,
      name: `start of shim ${target.id}`,
    });
    return stdout;
  } catch (error) {
    const known = TaskError.from(error);
    const log = tail(logTail(target.bundle, 2 * quoted));
    throw log === '' ? known : new TaskError(known.code, `${known.message} (its log: ${log})`, { cause: known });
  }
}

/** Runs the `delete` action in a task's bundle: it kills and removes what the runtime still has of the task. */
export async function runDelete(
  settings: WorkerSettings,
  target: ActionTarget,
  deadline: number,
): Promise<DeadShimExit> {
  const { stdout } = await run({
    binary: target.binary,
    args: argumentsOf(settings, target, 'delete'),
    directory: target.bundle,
    environment: environmentOf(settings, target.namespace),
    input: new Uint8Array(),
    deadline,
    name: `delete action for task ${target.id}`,
  });
  const { pid, exitStatus, exitedAt } = containerd.task.v2.DeleteResponse.decode(stdout);
  return { pid, status: exitStatus, exitedAt: plainTimestamp(exitedAt) ?? timestampNow() };
}

/** What the binary prints with `-v`; empty where it fails, which some do for want of the flag. */
export async function runVersion(binary: string, deadline: number): Promise<string> {
  try {
    const { stdout, stderr } = await run({
      binary,
      args: ['-v'],
      directory: '/',
      environment: {},
      input: new Uint8Array(),
      deadline,
      name: 'version',
    });
    return `${Buffer.from(stdout).toString('utf8')}\n${stderr}`;
  } catch (error) {
    if (error instanceof TaskError && /not installed/.test(error.message)) throw error;
    return '';
  }
}

/** Runs the binary with `-info`. Throws UNKNOWN for shims that cannot say, which are those before 2.0. */
export async function runInfo(
  settings: WorkerSettings,
  binary: string,
  options: Any | undefined,
  deadline: number,
): Promise<RuntimeInfo> {
  const { stdout } = await run({
    binary,
    args: ['-info'],
    directory: '/',
    environment: environmentOf(settings, 'default'),
    input: encodeAny(options),
    deadline,
    name: 'info',
  });
  const info = containerd.types.RuntimeInfo.decode(stdout);
  return {
    name: info.name,
    version: info.version?.version ?? '',
    revision: info.version?.revision ?? '',
    options: plainAny(info.options),
    features: plainAny(info.features),
    annotations: { ...info.annotations },
  };
}
