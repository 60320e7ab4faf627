import { setTimeout as delay } from 'node:timers/promises';
import { deadlineExceeded, unimplemented } from '../shared/errors/index.ts';
import { deadlineIn, remaining } from '../shared/util/deadline.ts';
import type { Membership, RecordedMembership } from './membership.ts';
import { allPids, processStat, readProc } from './process-table.ts';
import { signalMember, signals } from './signals.ts';

/** The variable by which a task's processes are known where there is no cgroup for them. */
export const markerVariable = 'SHIMD_PROCESS_TASK';

const stopBudget = 2_000;
const pollEvery = 5;

interface Question {
  readonly marker: string;
  readonly roots: ReadonlyMap<number, number>;
  readonly answer: (pids: readonly number[]) => void;
}

/** Questions that wait for the next look through /proc: many tasks may end at once, and one look answers all. */
let questions: Question[] = [];

/**
 * Members by an environment variable that children inherit. A process that clears its environment is still found by
 * its session or its parents, unless it leaves those too: that is as far as an ordinary user's shim can see.
 */
export class MarkerMembership implements Membership {
  readonly environment: readonly string[];
  readonly limits = undefined;
  readonly recorded: RecordedMembership & { readonly kind: 'marker' };
  /** Start times by pid of the processes that the shim itself started: a pid alone may be somebody else's by now. */
  readonly #roots: Map<number, number>;

  constructor(marker: string, roots: readonly (readonly [pid: number, startTime: number])[] = []) {
    this.environment = [`${markerVariable}=${marker}`];
    this.recorded = { kind: 'marker', marker };
    this.#roots = new Map(roots);
  }

  add(pid: number): void {
    const stat = processStat(pid);
    if (stat !== undefined) this.#roots.set(pid, stat.startTime);
  }

  pids(): Promise<readonly number[]> {
    for (const [pid, startTime] of this.#roots) {
      // While a session exists its number is no other process's pid, so a pid that nobody has still names our session.
      const stat = processStat(pid);
      if (stat !== undefined && stat.startTime !== startTime) this.#roots.delete(pid);
    }
    return new Promise((resolve) => {
      if (questions.length === 0) setImmediate(answerAll);
      questions.push({ marker: this.recorded.marker, roots: this.#roots, answer: resolve });
    });
  }

  async freeze(): Promise<void> {
    const deadline = deadlineIn(stopBudget);
    for (;;) {
      const running = (await this.pids()).filter((pid) => !/^[TtZX]$/.test(processStat(pid)?.state ?? 'X'));
      if (running.length === 0) return;
      for (const pid of running) signalMember(pid, signals.SIGSTOP);
      if (remaining(deadline) === 0) {
        await this.thaw();
        throw deadlineExceeded(
          `processes ${running.join(', ')} did not stop within ${stopBudget} ms: deadline exceeded`,
        );
      }
      await delay(pollEvery);
    }
  }

  async thaw(): Promise<void> {
    for (const pid of await this.pids()) signalMember(pid, signals.SIGCONT);
  }

  update(): Promise<never> {
    return Promise.reject(
      unimplemented(
        'resources are limited by cgroups, and this shim may make none: run it as root, or in a cgroup that is delegated to ' +
          'its user: not implemented',
      ),
    );
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }
}

function answerAll(): void {
  const asked = questions;
  questions = [];
  const members = lookUp(asked);
  for (const { marker, answer } of asked) answer(members.get(marker) ?? []);
}

/** Pids by marker. */
function lookUp(asked: readonly Question[]): Map<string, number[]> {
  const markers = new Set(asked.map(({ marker }) => marker));
  const owner = new Map<number, string>();
  const unmarked: { pid: number; parent: number; session: number }[] = [];
  for (const { marker, roots } of asked) for (const pid of roots.keys()) if (isRunning(pid)) owner.set(pid, marker);
  const prefix = `${markerVariable}=`;
  for (const pid of allPids()) {
    if (pid === process.pid || owner.has(pid)) continue;
    const environment = readProc(pid, 'environ');
    // Not ours to read, or a kernel thread or zombie, which have none.
    if (environment === undefined) continue;
    const at = environment.startsWith(prefix) ? 0 : environment.indexOf(`\0${prefix}`) + 1;
    const marker =
      at === 0 && !environment.startsWith(prefix) ? undefined : environment.slice(at + prefix.length).split('\0', 1)[0];
    if (marker !== undefined) {
      if (markers.has(marker) && isRunning(pid)) owner.set(pid, marker);
      continue;
    }
    const stat = processStat(pid);
    if (stat !== undefined && !/^[ZX]$/.test(stat.state)) unmarked.push(stat);
  }
  adopt(owner, unmarked, asked);
  const members = new Map<string, number[]>();
  for (const [pid, marker] of owner) {
    const list = members.get(marker);
    if (list) list.push(pid);
    else members.set(marker, [pid]);
  }
  return members;
}

/** Adds processes without a marker by their session or their parents. */
function adopt(
  owner: Map<number, string>,
  unmarked: readonly { pid: number; parent: number; session: number }[],
  asked: readonly Question[],
): void {
  const sessions = new Map(
    asked.flatMap(({ marker, roots }) => [...roots.keys()].map((pid) => [pid, marker] as const)),
  );
  for (let grown = true; grown; ) {
    grown = false;
    for (const { pid, parent, session } of unmarked) {
      const marker = owner.get(parent) ?? sessions.get(session);
      if (marker === undefined || owner.has(pid)) continue;
      owner.set(pid, marker);
      grown = true;
    }
  }
}

function isRunning(pid: number): boolean {
  const stat = processStat(pid);
  return stat !== undefined && !/^[ZX]$/.test(stat.state);
}
