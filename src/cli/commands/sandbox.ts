import { parseSandboxId } from '../../shared/identifiers.ts';
import { unreachable } from '../../shared/util/unreachable.ts';
import { defineCommand } from '../command.ts';
import { createSandbox, listSandboxes, removeSandbox, startSandbox, stopSandbox } from '../container/sandboxes.ts';
import { type Context, jsonLine } from '../context.ts';
import { forEach, outcomesAsData } from '../each.ts';
import { exitStatus } from '../exit-status.ts';
import { UsageError } from '../failure.ts';
import { flag, value } from '../option.ts';
import { printable } from '../output/printable.ts';
import { table } from '../output/table.ts';
import { parseSeconds } from '../parse.ts';

const defaultRuntime = 'io.shimd.process.v1';
const actions = ['run', 'create', 'start', 'ls', 'stop', 'rm'] as const;
type Action = (typeof actions)[number];

interface Options {
  readonly runtime: string | undefined;
  readonly bundle: string | undefined;
  readonly timeout: number | undefined;
  readonly force: boolean;
}

export const sandbox = defineCommand({
  description:
    'Runs sandboxes: groups of tasks that share a shim, and its end. The runtime has to serve them; of runc only the ' +
    "shim of containerd 1.7 does. 'run' creates and starts one, 'stop' ends it with what runs in it, 'rm' removes what " +
    "has stopped. Tasks get into one with 'shimd run --sandbox'.",
  arguments: [
    { name: '<action>', summary: `one of ${actions.join(', ')}` },
    { name: '[id...]', summary: 'ids of the sandboxes; all for ls' },
  ],
  options: {
    runtime: value('--runtime <runtime>', 'name of the runtime, or path of the shim', String, {
      default: defaultRuntime,
    }),
    bundle: value('--bundle <directory>', 'OCI bundle whose config.json is the spec of the sandbox', String, {
      default: 'none',
    }),
    timeout: value('--timeout <seconds>', 'with stop: between SIGTERM and SIGKILL for what runs in it', parseSeconds, {
      default: '0',
    }),
    force: flag('-f, --force', 'with rm: stop it first; what does not exist is no error'),
  },
  examples: [
    ['shimd sandbox run pod', 'a sandbox of the embedded runtime'],
    ['shimd run -d --sandbox pod --runtime io.shimd.process.v1 -- sleep 60', 'a task in it'],
    ['shimd sandbox stop --timeout 10 pod', 'ends it, and the task before it'],
    ['shimd sandbox rm pod', 'removes it'],
  ],
  json: true,

  async run(context, options, [action, ...ids]) {
    if (!isAction(action)) throw new UsageError(`unknown action '${action ?? ''}'; name one of ${actions.join(', ')}`);
    if (action === 'ls') return list(context, ids);
    if (ids.length === 0) throw new UsageError(`name a sandbox, as in 'shimd sandbox ${action} pod'`);
    const { outcomes, status } = await forEach(context, ids, (id) =>
      perform(context, action, parseSandboxId(id), options),
    );
    if (context.json) context.print(jsonLine(outcomesAsData(outcomes)));
    else if (action === 'run' || action === 'create') {
      for (const outcome of outcomes) if ('result' in outcome) context.print(`${outcome.id}\n`);
    }
    return status;
  },
});

const isAction = (text: string | undefined): text is Action => actions.some((action) => action === text);

async function perform(
  context: Context,
  action: Exclude<Action, 'ls'>,
  id: string,
  { runtime = defaultRuntime, bundle, timeout = 0, force }: Options,
): Promise<object> {
  const daemon = await context.daemon();
  const { namespace } = context;
  switch (action) {
    case 'run':
      await createSandbox(daemon, namespace, { id, runtime, bundle });
      return startSandbox(daemon, namespace, id);
    case 'create':
      await createSandbox(daemon, namespace, { id, runtime, bundle });
      return { created: true };
    case 'start':
      return startSandbox(daemon, namespace, id);
    case 'stop':
      await stopSandbox(daemon, namespace, id, Math.ceil(timeout / 1000));
      return { stopped: true };
    case 'rm':
      await removeSandbox(daemon, namespace, id, force);
      return { removed: true };
    default:
      return unreachable(action);
  }
}

async function list(context: Context, ids: readonly string[]): Promise<number> {
  const daemon = await context.daemon();
  const lines = await listSandboxes(daemon, context.namespace, ids);
  const headings = ['ID', 'PID', 'STATE', 'RUNTIME', 'CREATED'];
  const rows = lines.map(({ id, pid, state, runtime, createdAt }) => [
    id,
    pid === 0 ? '-' : String(pid),
    printable(state),
    printable(runtime) || '-',
    createdAt,
  ]);
  context.print(context.json ? jsonLine(lines) : table(headings, rows));
  return exitStatus.ok;
}
