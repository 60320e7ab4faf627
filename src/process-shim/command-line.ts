import { binaryName, ignoreIsolationAnnotation, isolationNotice, runtimeName, version } from './about.ts';

export type Action = 'start' | 'delete' | 'serve' | 'info' | 'version' | 'help';

/** What a daemon passes on a shim's command line. Empty strings where it said nothing. */
export interface CommandLine {
  readonly action: Action;
  readonly namespace: string;
  readonly id: string;
  /** Where to listen; where empty the shim chooses. */
  readonly socket: string;
  /** The daemon's gRPC address. */
  readonly address: string;
  readonly publishBinary: string;
  /** The bundle's directory; the working directory where empty. */
  readonly bundle: string;
  readonly debug: boolean;
}

const valueFlags = ['namespace', 'id', 'socket', 'address', 'publish-binary', 'bundle'] as const;
const switches = ['debug', 'info', 'v', 'version', 'h', 'help'] as const;

/** Parses flags as Go programs take them: one dash or two, `-flag value` or `-flag=value`. Throws an Error that says what is wrong. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const values: Record<(typeof valueFlags)[number], string> = {
    namespace: '',
    id: '',
    socket: '',
    address: '',
    'publish-binary': '',
    bundle: '',
  };
  const on = new Set<(typeof switches)[number]>();
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    const match = /^--?([a-z][a-z-]*)(?:=(.*))?$/s.exec(arg);
    if (!match) {
      rest.push(arg);
      continue;
    }
    const [, name, inline] = match;
    const valueFlag = valueFlags.find((flag) => flag === name);
    const switchFlag = switches.find((flag) => flag === name);
    if (valueFlag !== undefined) {
      const value = inline ?? args[++i];
      if (value === undefined) throw new Error(`flag -${valueFlag} needs a value`);
      values[valueFlag] = value;
    } else if (switchFlag !== undefined) {
      if (inline !== 'false') on.add(switchFlag);
    } else {
      throw new Error(`there is no flag ${arg}; see ${binaryName} -help`);
    }
  }
  if (rest.length > 1) throw new Error(`one action at a time, not ${rest.join(' ')}; see ${binaryName} -help`);
  return {
    action: actionOf(on, rest[0]),
    namespace: values.namespace,
    id: values.id,
    socket: values.socket,
    address: values.address,
    publishBinary: values['publish-binary'],
    bundle: values.bundle,
    debug: on.has('debug'),
  };
}

function actionOf(on: ReadonlySet<string>, action: string | undefined): Action {
  if (on.has('v') || on.has('version')) return 'version';
  if (on.has('info')) return 'info';
  if (on.has('h') || on.has('help')) return 'help';
  switch (action) {
    case 'start':
    case 'delete':
    case 'serve':
      return action;
    case undefined:
      return 'help';
    default:
      throw new Error(`there is no action ${JSON.stringify(action)}; the actions are start and delete`);
  }
}

export function versionText(): string {
  return `${binaryName}:\n  Version:  ${version()}\n  Runtime:  ${runtimeName}\n  Node:     ${process.version}\n\n${isolationNotice}\n`;
}

export function helpText(): string {
  return `${binaryName}: the containerd shim of the runtime ${runtimeName}

${isolationNotice}

A daemon starts it, in the directory of a bundle:
  ${binaryName} -namespace NS -id ID [flags] start    start a shim; prints how to reach it
  ${binaryName} -namespace NS -id ID [flags] delete   end what a dead shim left of the bundle's task

  -namespace NS        namespace of the tasks
  -id ID               id of the shim or task
  -address PATH        the daemon's gRPC address
  -publish-binary FILE the daemon's program; not used, events go to TTRPC_ADDRESS
  -bundle DIR          the bundle, where it is not the working directory
  -socket PATH         listen here instead of in the socket directory
  -debug               more lines in the bundle's log
  -info                print a serialized containerd.types.RuntimeInfo
  -v                   print the version

An OCI spec that asks for isolation (a rootfs other than /, namespaces, mounts, seccomp, …) is refused, unless its
annotation ${ignoreIsolationAnnotation} is "true": then the process runs on the host without it.
`;
}
