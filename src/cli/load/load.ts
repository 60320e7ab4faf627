import { randomBytes } from 'node:crypto';
import { namespacesDefinition } from '../../shared/grpc/index.ts';
import type { Namespace } from '../../shared/identifiers.ts';
import type { Daemon } from '../client/daemon.ts';
import { oneLine } from '../failure.ts';
import { removeEmptyCgroups } from './cgroup-parent.ts';
import { ExitStream } from './exit-stream.ts';
import { type Flatness, flatnessOf, roundsToJudge } from './flatness.ts';
import { FootprintReader, type Footprints } from './footprint.ts';
import { FootprintWatch, settledFootprint, total } from './footprint-watch.ts';
import { Ledger, type LedgerCounts } from './ledger.ts';
import { live, type Phase, phases } from './lifecycle.ts';
import { type Percentiles, percentilesOf } from './percentiles.ts';
import { atMost, Rendezvous, runRound } from './round.ts';
import type { TaskPlan } from './task-plan.ts';
import type { SpecMaker } from './task-spec.ts';

/** How far a round is, in tasks. */
export interface LoadProgress {
  readonly round: number;
  readonly started: number;
  readonly running: number;
  readonly done: number;
}

export interface LoadOptions {
  readonly daemon: Daemon;
  readonly namespace: Namespace;
  /** Whether the namespace is removed in the end, where nothing else is in it. */
  readonly removeNamespace: boolean;
  readonly runtime: string;
  readonly spec: SpecMaker;
  /** In each round. */
  readonly tasks: number;
  readonly concurrency: number;
  /** Tasks that are being created and started at once; absent: as many as are under way. */
  readonly launches?: number;
  readonly rounds: number;
  readonly plan: (index: number) => TaskPlan;
  /** Awaited before a task is killed. */
  readonly beforeKill: (signal: AbortSignal) => Promise<void>;
  /** Where given, all tasks of a round run at once, and none goes on before this is called and done. */
  readonly together?: (() => Promise<void> | void) | undefined;
  /** From a task's start to the report of its exit, in milliseconds; past it the exit is lost. */
  readonly patience: number;
  /** How long to wait between rounds for shims without tasks to end, in milliseconds. */
  readonly settleBudget: number;
  readonly onProgress: (progress: LoadProgress) => void;
  readonly signal: AbortSignal;
}

export interface RoundReport {
  readonly round: number;
  readonly milliseconds: number;
  /** Whole lifecycles a second. */
  readonly throughput: number;
  readonly counts: LedgerCounts;
  /** The largest that was seen while the round ran. */
  readonly peak: Footprints | undefined;
  /** What is left when it is over. */
  readonly settled: Footprints | undefined;
}

export interface LoadReport {
  readonly phases: Readonly<Record<Phase, Percentiles>>;
  readonly rounds: readonly RoundReport[];
  readonly counts: LedgerCounts;
  readonly byStatus: ReturnType<Ledger['byStatus']>;
  readonly flatness: Flatness | undefined;
  /** What went wrong, in words: the first few. */
  readonly problems: readonly string[];
  /** Nothing lost, repeated, wrong or failed, everything tried, and the memory not known to grow. */
  readonly ok: boolean;
}

/** The longest that the event stream may lag behind, in milliseconds. */
const fenceBudget = 30_000;
/** Looks at the memory between rounds where it is judged: ten seconds, so that an idle daemon has collected its garbage. */
const judgedLooks = 21;

/** Puts the load on the daemon, and resolves when nothing of it is left there. Throws where it cannot begin. */
export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const { daemon, namespace, signal } = options;
  const ledger = new Ledger();
  const durations: Record<Phase, number[]> = { create: [], start: [], launch: [], report: [], delete: [], whole: [] };
  const rounds: RoundReport[] = [];
  const problems: string[] = [];
  const exits = await ExitStream.open(daemon, namespace, (task, status) => ledger.event(task, status));
  try {
    const reader = await FootprintReader.open(daemon, namespace);
    for (let round = 1; round <= options.rounds; round += 1) {
      const watch = new FootprintWatch(reader);
      const result = await oneRound(options, { round, ledger, durations, watch, exits });
      const peak = await watch.end();
      if (result.givenUp !== undefined) problems.push(`round ${round}: ${result.givenUp}`);
      else if (result.failures > 0) {
        problems.push(
          `round ${round}: ${result.failures} of ${options.tasks} tasks failed, first: ${oneLine(result.firstFailure)}`,
        );
      }
      if (!signal.aborted) {
        await exits.fence(fenceBudget).catch((error: unknown) => problems.push(`round ${round}: ${oneLine(error)}`));
      }
      const looks = options.rounds >= roundsToJudge ? judgedLooks : undefined;
      const settled = signal.aborted ? undefined : await settledFootprint(reader, options.settleBudget, signal, looks);
      const counts = ledger.counts(round);
      const throughput = (result.done * 1000) / result.milliseconds;
      rounds.push({ round, milliseconds: result.milliseconds, throughput, counts, peak, settled });
      if (result.givenUp !== undefined || problems.length > 0) break;
    }
    // What comes twice may come late: shims tell of exits by a way of their own.
    if (!signal.aborted) await exits.fence(fenceBudget).catch(() => undefined);
  } finally {
    await exits.close();
    await removeTraces(options);
  }
  const counts = ledger.counts();
  const flatness = flatnessOf(rounds.map(({ settled }) => settled && total(settled)));
  const bad = counts.lost + counts.repeated + counts.wrong + counts.failed;
  return {
    phases: {
      create: percentilesOf(durations.create),
      start: percentilesOf(durations.start),
      launch: percentilesOf(durations.launch),
      report: percentilesOf(durations.report),
      delete: percentilesOf(durations.delete),
      whole: percentilesOf(durations.whole),
    },
    rounds,
    counts,
    byStatus: ledger.byStatus(),
    flatness,
    problems: [...problems, ...ledger.examples()],
    ok: bad === 0 && problems.length === 0 && flatness?.flat !== false,
  };
}

interface RoundContext {
  readonly round: number;
  readonly ledger: Ledger;
  readonly durations: Record<Phase, number[]>;
  readonly watch: FootprintWatch;
  readonly exits: ExitStream;
}

function oneRound(options: LoadOptions, { round, ledger, durations, watch, exits }: RoundContext) {
  const { daemon, namespace, runtime, spec, tasks, signal, patience } = options;
  const run = randomBytes(4).toString('hex');
  const labels = { 'shimd.load': run };
  const context = { daemon, namespace, runtime, spec, ledger, labels, signal };
  const meeting = new Rendezvous(options.together ? tasks : 0, async () => {
    await watch.look();
    await options.together?.();
  });
  const launching = atMost(options.launches ?? options.concurrency);
  const progress = { round, started: 0, running: 0, done: 0 };
  return runRound({
    tasks,
    concurrency: options.concurrency,
    signal,
    // Without the events nothing can be said of an exit any more.
    obstacle: () => exits.failure,
    onProgress: (done, running) => options.onProgress(Object.assign(progress, { done, running })),
    live: async (index) => {
      const plan = options.plan(index);
      const id = `load-${run}-${index}`;
      let here = false;
      const hold = async (): Promise<void> => {
        here = true;
        progress.started += 1;
        options.onProgress(progress);
        if (options.together) await meeting.arrive(signal);
        if (plan.signal !== undefined) await options.beforeKill(signal);
      };
      ledger.expect(id, plan.expected, round);
      try {
        const timings = await live({ id, plan, launching, hold, patience }, context);
        for (const phase of phases) durations[phase].push(timings[phase]);
      } finally {
        if (options.together && !here) await meeting.leave();
      }
    },
  });
}

/** The names that were made for the load. Whatever somebody else uses stays. */
async function removeTraces({ daemon, namespace, removeNamespace }: LoadOptions): Promise<void> {
  if (!removeNamespace) return;
  await daemon
    .call(namespacesDefinition.delete, namespace, { name: namespace }, { timeout: 5_000 })
    .catch(() => undefined);
  await removeEmptyCgroups(namespace);
}
