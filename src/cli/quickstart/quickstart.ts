import path from 'node:path';
import { parseNamespace } from '../../shared/identifiers.ts';
import { Daemon } from '../client/daemon.ts';
import { exitStatus } from '../exit-status.ts';
import { Failure, oneLine } from '../failure.ts';
import { Interruption } from '../load/interruption.ts';
import { type LoadReport, runLoad } from '../load/load.ts';
import { PrivateDaemon } from '../load/private-daemon.ts';
import { Progress } from '../load/progress.ts';
import { killedBy, type TaskPlan, untilKilled } from '../load/task-plan.ts';
import { embeddedRuntime, processSpec } from '../load/task-spec.ts';
import { painter } from '../output/colour.ts';
import { Gate } from './gate.ts';
import { hello, helloLine, helloStatus } from './hello.ts';
import { nextSteps, summary } from './summary.ts';

const tasks = 200;
/** More at once would show how long a queue is, not how long a start takes. */
const launches = 8;
const namespace = parseNamespace('quickstart');
const sigkill = 9;
const patience = 60_000;
const settleBudget = 5_000;

/** Runs it, and resolves with the exit code; never rejects. Nothing of it is left then. */
export async function quickstart(): Promise<number> {
  const began = performance.now();
  const paint = painter(process.stdout);
  const progress = new Progress(process.stderr);
  using interruption = new Interruption(
    () => {
      progress.clear();
      process.stderr.write('\ninterrupted; removing everything, once more to leave it\n');
    },
    () => undefined,
  );
  const { signal } = interruption;
  try {
    print(`Starting a daemon in a temporary directory ...\n`);
    await using own = await PrivateDaemon.start(signal);
    print(`  pid ${own.pid ?? '?'}, socket ${own.address}\n\n`);
    print(
      `One task, as a process on this host (no root, no runc, no isolation):\n  ${paint('dim', `$ ${helloLine}`)}\n`,
    );
    await greet(own.address, signal);
    print(`\n${tasks} tasks at once, ended together; some end with 0, some with 3, some are killed:\n`);
    const report = await many(own, progress, signal);
    print(summary(report, paint));
    signal.throwIfAborted();
    await own.stop();
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    print(`\nDone in ${seconds} s; no process and no file is left.\n`);
    if (report.ok) print(nextSteps);
    return report.ok ? exitStatus.ok : exitStatus.failed;
  } catch (error) {
    progress.clear();
    process.stderr.write(`quickstart: ${oneLine(signal.aborted ? signal.reason : error)}\n`);
    return signal.reason instanceof Failure ? signal.reason.status : exitStatus.failed;
  }
}

function print(text: string): void {
  process.stdout.write(text);
}

async function greet(address: string, signal: AbortSignal): Promise<void> {
  const { output, status } = await hello(address, signal);
  print(output.replaceAll(/^(?=.)/gm, '  '));
  if (status !== helloStatus)
    throw new Error(`the first task ended with ${status ?? 'a signal'} instead of ${helloStatus}`);
  print(`  ended with ${status}, as asked\n`);
}

async function many(own: PrivateDaemon, progress: Progress, signal: AbortSignal): Promise<LoadReport> {
  using daemon = new Daemon(own.address);
  using gate = new Gate(path.join(own.directory, 'gate'));
  const plans = Array.from({ length: tasks }, (_, index) => planOf(index, gate));
  const waiting = plans.filter((plan) => plan.signal === undefined);
  return await runLoad({
    daemon,
    namespace,
    removeNamespace: false,
    runtime: embeddedRuntime,
    spec: processSpec,
    tasks,
    concurrency: tasks,
    launches,
    rounds: 1,
    plan: (index) => plans[index] ?? planOf(index, gate),
    beforeKill: () => Promise.resolve(),
    together: () => gate.open(waiting.length),
    patience,
    settleBudget,
    onProgress: ({ started, done }) => {
      if (signal.aborted) return;
      if (started < tasks) progress.show({ label: '  started', done: started, total: tasks });
      else progress.show({ label: '  ended  ', done, total: tasks });
    },
    signal,
  }).finally(() => progress.clear());
}

/** Of each five: three end with 0, one with 3, one is killed. */
function planOf(index: number, gate: Gate): TaskPlan {
  switch (index % 5) {
    case 3:
      return { script: `${gate.waiting}; exit 3`, expected: 3 };
    case 4:
      return killedBy(sigkill, untilKilled);
    default:
      return { script: `${gate.waiting}; exit 0`, expected: 0 };
  }
}
