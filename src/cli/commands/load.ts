import { defaultNamespace } from '../../shared/defaults.ts';
import { type Namespace, parseNamespace } from '../../shared/identifiers.ts';
import { defineCommand } from '../command.ts';
import { resolveRootfs } from '../container/bundle-spec.ts';
import { isHostRuntime } from '../container/host-spec.ts';
import { type Context, jsonLine } from '../context.ts';
import { exitStatus } from '../exit-status.ts';
import { UsageError } from '../failure.ts';
import { roundsToJudge } from '../load/flatness.ts';
import { Interruption } from '../load/interruption.ts';
import { pauseUnlessAborted } from '../load/lifecycle.ts';
import { type LoadReport, runLoad } from '../load/load.ts';
import { Progress } from '../load/progress.ts';
import { loadData, loadText } from '../load/report.ts';
import { privateTarget, runningTarget, type Target } from '../load/target.ts';
import { containerSignals, mixedPlan, processSignals } from '../load/task-plan.ts';
import { containerRuntime, containerSpec, embeddedRuntime, processSpec } from '../load/task-spec.ts';
import { flag, value } from '../option.ts';
import { painter } from '../output/colour.ts';

/** Tasks of a load are kept apart from everybody's, in shims of their own. */
const loadNamespace = parseNamespace('shimd-load');
const defaults = { tasks: 500, concurrency: 32, rounds: 1, taskMs: 0 } as const;
const most = { tasks: 100_000, concurrency: 1_000, rounds: 1_000, taskMs: 600_000, inAll: 1_000_000 } as const;
/** From a task's end to the report of it, in milliseconds. */
const reportPatience = 60_000;
/** Longer than a daemon keeps idle shims unless it is told otherwise. */
const settleBudget = 15_000;

export const load = defineCommand({
  description:
    'Puts load on the daemon and checks it: tasks are created, started, ended and deleted, many at once. Each has to end ' +
    'exactly once with the status that was asked of it, by the answer to Wait and in the event stream alike; some ' +
    'end by themselves with 0 and others, some are killed. Shows how long each part took, and what the daemon and its ' +
    'shims take of the host. With five rounds or more, what is left after the last must not exceed 1.1 times what was ' +
    'left after the second. Removes all that it made, on an interrupt too. Where no address is named and no daemon ' +
    'runs, it starts a private one in a temporary directory, as with --private.',
  arguments: [],
  options: {
    tasks: value('--tasks <number>', 'tasks in each round', upTo(most.tasks), { default: String(defaults.tasks) }),
    concurrency: value('--concurrency <number>', 'tasks under way at once', upTo(most.concurrency), {
      default: String(defaults.concurrency),
    }),
    rounds: value('--rounds <number>', 'equal rounds, one after the other', upTo(most.rounds), {
      default: String(defaults.rounds),
    }),
    taskMs: value('--task-ms <number>', 'how long each task runs, in milliseconds', upTo(most.taskMs, 0), {
      default: String(defaults.taskMs),
    }),
    runtime: value('--runtime <runtime>', 'name of the runtime, or path of the shim', String, {
      default: `${embeddedRuntime}, with --rootfs ${containerRuntime}`,
    }),
    rootfs: value('--rootfs <directory>', 'make containers of this root file system, which has a /bin/sh', String),
    private: flag('--private', 'start a daemon of its own in a temporary directory, and remove it'),
  },
  examples: [
    ['shimd load --private', 'needs no root and nothing installed'],
    ['shimd load --tasks 2000 --concurrency 64 --rounds 5', 'on the running daemon; is the memory flat?'],
    ['shimd load --rootfs ./rootfs --tasks 500 --concurrency 16', 'containers, by runc'],
  ],
  exitCodes: [
    ['0', 'every exit as asked, and the memory flat where it could be judged'],
    ['1', 'an exit was lost, repeated or wrong, a task failed, or the memory is not flat'],
    ['2', 'the command line is wrong'],
    ['130', 'interrupted; 128 + n by signal n'],
  ],
  json: true,

  async run(context, options) {
    const { tasks = defaults.tasks, rounds = defaults.rounds, taskMs = defaults.taskMs } = options;
    const { concurrency = defaults.concurrency, rootfs } = options;
    const runtime = options.runtime ?? (rootfs === undefined ? embeddedRuntime : containerRuntime);
    if (tasks * rounds > most.inAll) throw new UsageError(`at most ${most.inAll} tasks in all rounds together`);
    const onHost = isHostRuntime(runtime);
    if (onHost && rootfs !== undefined) {
      throw new UsageError(
        `${runtime} runs processes on the host itself: leave --rootfs out, or choose another runtime`,
      );
    }
    if (!onHost && rootfs === undefined) throw new UsageError(`${runtime} makes containers: name their --rootfs`);

    const namespace = context.namespace === defaultNamespace ? loadNamespace : context.namespace;
    const spec = rootfs === undefined ? processSpec : containerSpec(namespace, await resolveRootfs(rootfs));
    const signals = onHost ? processSignals : containerSignals;
    const progress = new Progress(process.stderr);
    using interruption = interruptionOf(context, progress);
    const { signal } = interruption;
    await using target = await targetOf(context, namespace, options.private, signal);
    const report = await runLoad({
      daemon: target.daemon,
      namespace,
      removeNamespace: namespace === loadNamespace,
      runtime,
      spec,
      tasks,
      concurrency,
      rounds,
      plan: (index) => mixedPlan(index, { taskMs, signals }),
      beforeKill: (signal) => pauseUnlessAborted(taskMs, signal),
      patience: taskMs + reportPatience,
      settleBudget: target.isPrivate || rounds >= roundsToJudge ? settleBudget : 0,
      onProgress: ({ round, done, running }) => {
        if (signal.aborted) return;
        const label = rounds === 1 ? 'tasks' : `round ${round}/${rounds}`;
        progress.show({ label, done, total: tasks, note: `${running} under way` });
      },
      signal,
    }).finally(() => progress.clear());
    const at = target.isPrivate ? 'a private daemon' : target.daemon.address;
    const asked = { runtime, daemon: at, tasks, concurrency: Math.min(concurrency, tasks), taskMs };
    print(context, report, asked);
    signal.throwIfAborted();
    return report.ok ? exitStatus.ok : exitStatus.failed;
  },
});

function interruptionOf(context: Context, progress: Progress): Interruption {
  const say = (message: string) => {
    progress.clear();
    context.warn(message);
  };
  return new Interruption(
    () => say('interrupted; removing the tasks, once more to leave them'),
    () => say("left as it is; 'shimd ps -n shimd-load' shows what is left of it"),
  );
}

function targetOf(context: Context, namespace: Namespace, isPrivate: boolean, signal: AbortSignal): Promise<Target> {
  if (isPrivate) return privateTarget(signal);
  return runningTarget(context.address, namespace, signal, () => {
    context.warn(`no daemon runs at ${context.address}; starting a private one for this load`);
  });
}

interface Asked {
  readonly runtime: string;
  readonly daemon: string;
  readonly tasks: number;
  readonly concurrency: number;
  readonly taskMs: number;
}

function print(context: Context, report: LoadReport, asked: Asked): void {
  const { runtime, daemon, tasks, concurrency } = asked;
  const rounds = report.rounds.length === 1 ? '1 round' : `${report.rounds.length} rounds`;
  const heading = `${rounds} of ${tasks} tasks, ${concurrency} at once, ${runtime}, ${daemon}`;
  const text = () => loadText(report, heading, painter(process.stdout));
  context.print(context.json ? jsonLine({ ...asked, ...loadData(report) }) : text());
}

function upTo(most: number, least = 1): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= least && number <= most) return number;
    throw new Error(`has to be a whole number from ${least} to ${most}`);
  };
}
