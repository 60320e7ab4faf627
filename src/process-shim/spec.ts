import { invalidArgument } from '../shared/errors/index.ts';
import { ignoreIsolationAnnotation } from './about.ts';

export interface Rlimit {
  /** `RLIMIT_NOFILE` and so on. */
  readonly type: string;
  readonly soft: number;
  readonly hard: number;
}

/** The part of an OCI process that a process on the host can be given. */
export interface ProcessSpec {
  readonly args: readonly string[];
  readonly environment: readonly string[];
  readonly cwd: string;
  /** Undefined where the spec names none: root's under root, else the shim's own. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly additionalGids: readonly number[];
  readonly umask: number | undefined;
  readonly rlimits: readonly Rlimit[];
  readonly oomScoreAdj: number | undefined;
  readonly noNewPrivileges: boolean;
  /** First size of the terminal, where it has one. */
  readonly consoleSize: { readonly width: number; readonly height: number } | undefined;
}

type Json = Readonly<Record<string, unknown>>;

/** Parses a bundle's `config.json`. Throws INVALID_ARGUMENT for what it asks and the host cannot give, all of it in one message. */
export function parseSpec(text: string): { process: ProcessSpec; ignoreIsolation: boolean } {
  const spec = parseJson(text, 'config.json');
  const ignoreIsolation = record(spec['annotations'])[ignoreIsolationAnnotation] === 'true';
  const wanted = record(spec['process']);
  if (!ignoreIsolation) refuse([...isolationOf(spec), ...isolationOfProcess(wanted)]);
  return { process: parseProcess(wanted), ignoreIsolation };
}

/** Parses the OCI process of an exec. */
export function parseExecSpec(text: string, options: { readonly ignoreIsolation: boolean }): ProcessSpec {
  const wanted = parseJson(text, 'the process of the exec');
  if (!options.ignoreIsolation) refuse(isolationOfProcess(wanted));
  return parseProcess(wanted);
}

function refuse(asked: readonly string[]): void {
  if (asked.length === 0) return;
  throw invalidArgument(
    `this runtime runs processes on the host and isolates nothing, but the spec asks for ${asked.join(', ')}: ` +
      `use another runtime, or set the annotation ${ignoreIsolationAnnotation} to "true" to run without: invalid argument`,
  );
}

/** What of the container's isolation the spec asks for, in the spec's words. */
function isolationOf(spec: Json): string[] {
  const asked: string[] = [];
  const root = record(spec['root']);
  if (root['path'] !== undefined && root['path'] !== '/') asked.push(`root.path ${JSON.stringify(root['path'])}`);
  if (root['readonly'] === true) asked.push('root.readonly');
  for (const name of ['mounts', 'hooks', 'hostname', 'domainname', 'vm', 'solaris', 'windows', 'zos']) {
    if (isGiven(spec[name])) asked.push(name);
  }
  for (const [name, value] of Object.entries(record(spec['linux']))) {
    if (name === 'cgroupsPath') continue;
    if (name === 'resources' && !hasLimits(record(value))) continue;
    if (isGiven(value)) asked.push(`linux.${name}`);
  }
  return asked;
}

function isolationOfProcess(wanted: Json): string[] {
  return ['capabilities', 'apparmorProfile', 'selinuxLabel', 'scheduler', 'ioPriority', 'execCPUAffinity']
    .filter((name) => isGiven(wanted[name]))
    .map((name) => `process.${name}`);
}

/** Resources without a limit in them are what generators write for none. */
function hasLimits(resources: Json): boolean {
  return Object.values(resources).some((value) => (Array.isArray(value) ? value.length > 0 : hasValue(value)));
}

function hasValue(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).some(hasValue);
  return value !== undefined && value !== null;
}

function isGiven(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return false;
  if (typeof value === 'object') return Object.keys(value).length > 0;
  return true;
}

function parseProcess(wanted: Json): ProcessSpec {
  const args = strings(wanted['args'], 'process.args');
  if (args.length === 0 || args[0] === '') throw invalidArgument('process.args must not be empty: invalid argument');
  const cwd = wanted['cwd'] === undefined || wanted['cwd'] === '' ? '/' : wanted['cwd'];
  if (typeof cwd !== 'string' || !cwd.startsWith('/')) {
    throw invalidArgument(`process.cwd ${JSON.stringify(cwd)} is not an absolute path: invalid argument`);
  }
  const environment = strings(wanted['env'], 'process.env');
  for (const text of [...args, ...environment, cwd]) {
    if (text.includes('\0')) throw invalidArgument('process: a string with a NUL byte in it: invalid argument');
  }
  const user = record(wanted['user']);
  const size = record(wanted['consoleSize']);
  return {
    args,
    environment,
    cwd,
    uid: id(user['uid'], 'process.user.uid'),
    gid: id(user['gid'], 'process.user.gid'),
    additionalGids: list(user['additionalGids']).flatMap((gid) => id(gid, 'process.user.additionalGids') ?? []),
    umask: integer(user['umask'], 'process.user.umask', 0, 0o777),
    rlimits: list(wanted['rlimits']).map(rlimit),
    oomScoreAdj: integer(wanted['oomScoreAdj'], 'process.oomScoreAdj', -1000, 1000),
    noNewPrivileges: wanted['noNewPrivileges'] === true,
    consoleSize: isGiven(size)
      ? {
          width: integer(size['width'], 'process.consoleSize.width', 0, 0xffff) ?? 0,
          height: integer(size['height'], 'process.consoleSize.height', 0, 0xffff) ?? 0,
        }
      : undefined,
  };
}

function rlimit(value: unknown): Rlimit {
  const { type, soft, hard } = record(value);
  if (typeof type !== 'string' || !/^RLIMIT_[A-Z]+$/.test(type)) {
    throw invalidArgument(`process.rlimits: there is no limit ${JSON.stringify(type)}: invalid argument`);
  }
  const limits = { soft: Number(soft ?? 0), hard: Number(hard ?? 0) };
  if (!(limits.soft >= 0) || !(limits.hard >= limits.soft)) {
    throw invalidArgument(`process.rlimits: ${type} needs 0 <= soft <= hard: invalid argument`);
  }
  return { type, ...limits };
}

function parseJson(text: string, what: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalidArgument(
      `${what} is not JSON (${error instanceof Error ? error.message : String(error)}): invalid argument`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument(`${what} is not a JSON object: invalid argument`);
  }
  return record(value);
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function strings(value: unknown, name: string): readonly string[] {
  return list(value).map((item) => {
    if (typeof item !== 'string') throw invalidArgument(`${name} holds something other than strings: invalid argument`);
    return item;
  });
}

function id(value: unknown, name: string): number | undefined {
  // (uid_t)-1 means "leave as it is" to the kernel.
  return integer(value, name, 0, 0xffff_fffe);
}

function integer(value: unknown, name: string, lowest: number, highest: number): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < lowest || value > highest) {
    throw invalidArgument(
      `${name} ${JSON.stringify(value)} is not an integer from ${lowest} to ${highest}: invalid argument`,
    );
  }
  return value;
}
