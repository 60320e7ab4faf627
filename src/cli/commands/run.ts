import { randomBytes } from 'node:crypto';
import { tasksDefinition } from '../../shared/grpc/index.ts';
import { parseSandboxId, parseTaskId } from '../../shared/identifiers.ts';
import { Foreground } from '../attach/foreground.ts';
import { asStart } from '../attach/start-failure.ts';
import { ForegroundStdio, unattendedStdio } from '../attach/stdio.ts';
import { openTerminal, terminalSize } from '../attach/terminal.ts';
import type { Daemon } from '../client/daemon.ts';
import { whileUnavailable } from '../client/retry.ts';
import { ConnectionBroken } from '../client/service-error.ts';
import { defineCommand } from '../command.ts';
import { isHostRuntime } from '../container/host-spec.ts';
import {
  createContainerAndTask,
  type NewContainer,
  removeEndedContainer,
  removeQuietly,
} from '../container/new-container.ts';
import { serviceLabels } from '../container/restart-view.ts';
import { specFor } from '../container/run-spec.ts';
import { taskView } from '../container/task-view.ts';
import type { Context } from '../context.ts';
import { exitStatus, runExitCodes } from '../exit-status.ts';
import { oneLine, UsageError } from '../failure.ts';
import { flag, list, value } from '../option.ts';
import {
  parseCount,
  parseEnvironment,
  parseInnerPath,
  parseLabel,
  parseLogFile,
  parseNetwork,
  parsePositive,
  parseRestart,
  parseSize,
} from '../parse.ts';

const defaultRuntime = 'io.containerd.runc.v2';

export const run = defineCommand({
  description:
    'Makes a container of a root file system or an OCI bundle, runs a command in it and exits with its status. ' +
    'Input, output and signals pass through as with a local program; with --detach the id is printed and the ' +
    'task runs on. It runs on as well where this client or the daemon is killed: a client that lost the daemon ' +
    'waits for it to come back. Without --rm the ended task stays, for ps, wait and inspect.',
  arguments: [{ name: '[command...]', summary: 'the command; with --bundle it replaces the one in config.json' }],
  options: {
    rootfs: value('--rootfs <directory>', 'root file system to make the container of', String),
    bundle: value('--bundle <directory>', 'OCI bundle to take config.json from', String),
    id: value('--id <id>', 'id of the container', parseTaskId, { default: 'made up' }),
    runtime: value('--runtime <runtime>', 'name of the runtime, or path of the shim', String, {
      default: defaultRuntime,
    }),
    rm: flag('--rm', 'remove the container when it has ended'),
    detach: flag('-d, --detach', 'print the id and leave the task running'),
    tty: flag('-t, --tty', 'give the command a terminal'),
    interactive: flag('-i, --interactive', 'accepted for familiarity: input is passed anyway', true),
    noInput: flag('--no-stdin', 'give the command no input'),
    log: value('--log <file>', 'write the output to this file of the host instead', parseLogFile),
    env: list('-e, --env <name=value>', 'variable of the environment; NAME alone takes it from here', parseEnvironment),
    cwd: value('--cwd <directory>', 'working directory inside the container', parseInnerPath, { default: '/' }),
    user: value('-u, --user <user[:group]>', "names or numbers, looked up in the container's files", String, {
      default: '0:0',
    }),
    net: value('--net <network>', "'none', or 'host' for the host's", parseNetwork, { default: 'none' }),
    readOnly: flag('--read-only', 'make the root file system read-only'),
    memory: value('--memory <size>', 'limit of memory, such as 512m', parseSize),
    cpus: value('--cpus <number>', 'limit of CPU time, such as 1.5 CPUs', parsePositive),
    pids: value('--pids <number>', 'limit of processes and threads', parseCount),
    restart: value('--restart <policy>', 'always, unless-stopped, on-failure[:N] or no; with --detach', parseRestart, {
      default: 'no',
    }),
    label: list('-l, --label <key=value>', 'label of the container', parseLabel),
    sandbox: value('--sandbox <id>', 'sandbox that the task belongs to', parseSandboxId),
  },
  examples: [
    ["shimd run --rm --rootfs ./rootfs -- /bin/sh -c 'echo hi; exit 7'", 'prints hi, exits with 7'],
    ['shimd run --rm -t --rootfs ./rootfs -- /bin/sh', 'a shell in a terminal'],
    ['shimd run -d --id web --log /var/log/web.log --rootfs ./rootfs -- /bin/httpd -f', 'a service, writing to a log'],
    [
      'shimd run -d --id web --restart always --rootfs ./rootfs -- /bin/httpd -f',
      'a service that comes back when it ends',
    ],
    ['shimd run --runtime io.shimd.process.v1 -- ls /', 'a process on the host, without isolation'],
    ['tar c . | shimd run --rm --bundle ./bundle -- tar t', 'input through a pipe, an OCI bundle'],
  ],
  exitCodes: runExitCodes,
  json: false,
  passThrough: true,
  failureStatus: exitStatus.shimd,

  async run(context, options, args) {
    const { bundle, detach, runtime = defaultRuntime } = options;
    const rootfs = options.rootfs ?? (bundle === undefined && isHostRuntime(runtime) ? '/' : undefined);
    if ((rootfs === undefined) === (bundle === undefined)) {
      throw new UsageError('name either --rootfs DIR or --bundle DIR');
    }
    if (detach && options.tty)
      throw new UsageError('--tty and --detach do not go together: nobody would hold the terminal');
    const restart = options.restart === 'no' ? undefined : options.restart;
    if (restart !== undefined && !detach) {
      throw new UsageError(
        '--restart needs --detach: a task that comes back has no client to hold its input and output',
      );
    }
    if (detach && options.rm)
      throw new UsageError("--rm and --detach do not go together; remove it later with 'shimd rm'");
    const id = options.id ?? randomBytes(6).toString('hex');
    const spec = await specFor({
      id,
      namespace: context.namespace,
      runtime,
      source:
        rootfs === undefined ? { kind: 'bundle', directory: bundle ?? '' } : { kind: 'rootfs', directory: rootfs },
      args,
      env: options.env,
      cwd: options.cwd,
      user: options.user,
      terminal: options.tty || detach ? options.tty : undefined,
      terminalPossible: process.stdin.isTTY && process.stdout.isTTY && options.log === undefined,
      consoleSize: terminalSize(),
      network: options.net,
      readonlyRootfs: options.readOnly,
      limits: { memory: options.memory, cpus: options.cpus, pids: options.pids },
    });
    const container: NewContainer = {
      namespace: context.namespace,
      id,
      idIsOurs: options.id === undefined,
      runtime,
      labels: {
        ...Object.fromEntries(options.label),
        ...(restart === undefined ? {} : serviceLabels(restart, options.log)),
      },
      sandbox: options.sandbox ?? '',
      spec,
    };
    return detach
      ? runDetached(context, container, options.log)
      : runInForeground(context, container, { log: options.log, input: !options.noInput, remove: options.rm });
  },
});

async function runDetached(context: Context, container: NewContainer, log: string | undefined): Promise<number> {
  const daemon = await context.daemon();
  await asStart(undefined, () => createContainerAndTask(daemon, container, unattendedStdio(log), undefined));
  await startOrRemove(daemon, container, undefined);
  context.print(`${container.id}\n`);
  return exitStatus.ok;
}

async function runInForeground(
  context: Context,
  container: NewContainer,
  how: { readonly log: string | undefined; readonly input: boolean; readonly remove: boolean },
): Promise<number> {
  const { namespace, id } = container;
  const wantsTerminal = container.spec.process.terminal === true;
  if (wantsTerminal && how.log !== undefined) throw new UsageError('--tty and --log do not go together');
  const terminal = wantsTerminal ? openTerminal() : undefined;
  const daemon = await context.daemon();
  const foreground = new Foreground(context, daemon, { namespace, task: id, exec: '' }, terminal);
  let stdio: ForegroundStdio | undefined;
  try {
    stdio = await ForegroundStdio.open({
      terminal: wantsTerminal,
      input: how.input,
      log: how.log,
      onOutputFailed: (error) => foreground.outputFailed(error),
    });
    const { paths } = stdio;
    await asStart(foreground.signal, () => createContainerAndTask(daemon, container, paths, foreground.signal));
    const status = await foreground.run(stdio, () => startOrRemove(daemon, container, foreground.signal));
    if (how.remove) await remove(context, daemon, container);
    return status;
  } finally {
    foreground.close();
    await stdio?.close();
  }
}

/** The status is known by now and is what counts: that removing failed is said, and nothing more. */
async function remove(context: Context, daemon: Daemon, { namespace, id }: NewContainer): Promise<void> {
  try {
    await removeEndedContainer(daemon, namespace, id);
  } catch (error) {
    context.warn(`cannot remove ${id}: ${oneLine(error)}; try 'shimd rm -f ${id}'`);
  }
}

/** Longest wait for a daemon that went away in the middle of a start, in milliseconds. */
const comeBack = 30_000;

/** Starts the task. Where the daemon goes away meanwhile, whether it was started is asked when it is back. */
async function start(daemon: Daemon, { namespace, id }: NewContainer, signal: AbortSignal | undefined): Promise<void> {
  const request = { containerId: id };
  try {
    await daemon.call(tasksDefinition.start, namespace, request, { signal });
  } catch (error) {
    if (!(error instanceof ConnectionBroken)) throw error;
    await whileUnavailable(comeBack, async () => {
      const { process } = await daemon.call(tasksDefinition.get, namespace, request, { signal });
      const isCreated = process !== null && process !== undefined && taskView(process).status === 'created';
      if (isCreated) await daemon.call(tasksDefinition.start, namespace, request, { signal });
    });
  }
}

async function startOrRemove(daemon: Daemon, container: NewContainer, signal: AbortSignal | undefined): Promise<void> {
  const { namespace, id } = container;
  await asStart(signal, async () => {
    try {
      await start(daemon, container, signal);
    } catch (error) {
      await removeQuietly(daemon, namespace, id, error);
      throw error;
    }
  });
}
