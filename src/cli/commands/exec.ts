import { randomBytes } from 'node:crypto';
import { hasCode } from '../../shared/errors/index.ts';
import { containersDefinition, tasksDefinition } from '../../shared/grpc/index.ts';
import { parseExecId, parseTaskId } from '../../shared/identifiers.ts';
import type { Process } from '../../shared/oci/spec.ts';
import { typeUrls, wireAny } from '../../shared/wire/any.ts';
import { Foreground } from '../attach/foreground.ts';
import { asStart } from '../attach/start-failure.ts';
import { ForegroundStdio, unattendedStdio } from '../attach/stdio.ts';
import { openTerminal } from '../attach/terminal.ts';
import type { Daemon } from '../client/daemon.ts';
import { whileUnavailable } from '../client/retry.ts';
import type { ProcessName } from '../client/wait-for-exit.ts';
import { defineCommand } from '../command.ts';
import { execProcess } from '../container/exec-process.ts';
import { parseSpec } from '../container/parse-spec.ts';
import { resolveUser } from '../container/user.ts';
import type { Context } from '../context.ts';
import { exitStatus, runExitCodes } from '../exit-status.ts';
import { UsageError } from '../failure.ts';
import { flag, list, value } from '../option.ts';
import { parseEnvironment, parseInnerPath } from '../parse.ts';

const deleteBudget = 5000;
/** A shim waits 10 s for output that a child left behind holds open; the daemon finishes the delete without us. */
const deleteTimeout = 2000;

export const exec = defineCommand({
  description:
    "Runs a command in a running container, with the container's limits and capabilities, and exits with the " +
    "command's status. Environment, working directory and user are the container's unless given.",
  arguments: [
    { name: '<id>', summary: 'id of the container' },
    { name: '<command...>', summary: 'the command and its arguments' },
  ],
  options: {
    execId: value('--exec-id <id>', 'id of the exec', parseExecId, { default: 'made up' }),
    detach: flag('-d, --detach', "print the exec's id and leave it running, its output dropped"),
    tty: flag('-t, --tty', 'give the command a terminal'),
    interactive: flag('-i, --interactive', 'accepted for familiarity: input is passed anyway', true),
    noInput: flag('--no-stdin', 'give the command no input'),
    env: list('-e, --env <name=value>', 'variable of the environment; NAME alone takes it from here', parseEnvironment),
    cwd: value('--cwd <directory>', 'working directory inside the container', parseInnerPath),
    user: value('-u, --user <user[:group]>', "names or numbers, looked up in the container's files", String),
  },
  examples: [
    ['shimd exec web ps', 'runs ps beside the service'],
    ['shimd exec -t web /bin/sh', 'a shell in the container'],
    ['shimd exec --user nobody --env LEVEL=debug web -- /bin/tool --verbose', 'another user, a variable, options'],
  ],
  exitCodes: runExitCodes,
  json: false,
  passThrough: true,
  failureStatus: exitStatus.shimd,

  async run(context, options, [id = '', ...rest]) {
    const { detach, tty } = options;
    // After the id nothing is an option of ours any more; a -- there is still only a separator.
    const args = rest[0] === '--' ? rest.slice(1) : rest;
    if (args.length === 0) throw new UsageError('no command given; name it after the id');
    if (detach && tty) throw new UsageError('--tty and --detach do not go together: nobody would hold the terminal');
    const terminal = tty ? openTerminal() : undefined;
    const daemon = await context.daemon();
    const name: ProcessName = {
      namespace: context.namespace,
      task: parseTaskId(id),
      exec: options.execId ?? randomBytes(6).toString('hex'),
    };
    const container = await specOf(daemon, name);
    const user = options.user === undefined ? undefined : await resolveUser(options.user, container.root.path);
    const process = execProcess(container.process, {
      args,
      env: options.env,
      cwd: options.cwd,
      user,
      terminal: tty,
      consoleSize: terminal?.size,
    });
    if (detach) {
      await asStart(undefined, () => add(daemon, name, process, unattendedStdio(undefined)));
      await asStart(undefined, () => start(daemon, name));
      context.print(`${name.exec}\n`);
      return exitStatus.ok;
    }
    return execInForeground(context, daemon, name, process, { terminal, input: !options.noInput });
  },
});

async function execInForeground(
  context: Context,
  daemon: Daemon,
  name: ProcessName,
  process: Process,
  how: { readonly terminal: ReturnType<typeof openTerminal> | undefined; readonly input: boolean },
): Promise<number> {
  const foreground = new Foreground(context, daemon, name, how.terminal);
  let stdio: ForegroundStdio | undefined;
  try {
    stdio = await ForegroundStdio.open({
      terminal: how.terminal !== undefined,
      input: how.input,
      onOutputFailed: (error) => foreground.outputFailed(error),
    });
    const { paths } = stdio;
    await asStart(foreground.signal, () => add(daemon, name, process, paths, foreground.signal));
    const status = await foreground.run(stdio, () =>
      asStart(foreground.signal, () => start(daemon, name, foreground.signal)),
    );
    await remove(daemon, name);
    return status;
  } finally {
    foreground.close();
    await stdio?.close();
  }
}

async function specOf(daemon: Daemon, { namespace, task }: ProcessName) {
  const { container } = await daemon.call(containersDefinition.get, namespace, { id: task });
  const json = Buffer.from(container?.spec?.value ?? []).toString();
  return parseSpec(json, `the spec of container ${task}`);
}

async function add(
  daemon: Daemon,
  { namespace, task, exec }: ProcessName,
  process: Process,
  stdio: ReturnType<typeof unattendedStdio>,
  signal?: AbortSignal,
): Promise<void> {
  const spec = wireAny({ typeUrl: typeUrls.process, value: Buffer.from(JSON.stringify(process)) });
  await daemon.call(tasksDefinition.exec, namespace, { containerId: task, execId: exec, spec, ...stdio }, { signal });
}

async function start(daemon: Daemon, name: ProcessName, signal?: AbortSignal): Promise<void> {
  const { namespace, task, exec } = name;
  try {
    await daemon.call(tasksDefinition.start, namespace, { containerId: task, execId: exec }, { signal });
  } catch (error) {
    await remove(daemon, name);
    throw error;
  }
}

/** An ended exec that could not be removed goes with its task. */
async function remove(daemon: Daemon, { namespace, task, exec }: ProcessName): Promise<void> {
  await whileUnavailable(deleteBudget, () =>
    daemon.call(
      tasksDefinition.deleteProcess,
      namespace,
      { containerId: task, execId: exec },
      { timeout: deleteTimeout },
    ),
  ).catch((error: unknown) => {
    if (!hasCode(error, 'NOT_FOUND', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'FAILED_PRECONDITION', 'UNKNOWN')) throw error;
  });
}
