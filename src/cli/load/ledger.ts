import { oneLine } from '../failure.ts';

/** What of a load's exits was not as asked; all zero is what shimd promises. */
export interface LedgerCounts {
  readonly tasks: number;
  /** Started, and no exit was reported: by Wait, or in the event stream. */
  readonly lost: number;
  /** More than one exit event. */
  readonly repeated: number;
  /** A status other than the one asked for: by Wait, in the event, or in the answer to Delete. */
  readonly wrong: number;
  /** Lifecycles that a call failed in. */
  readonly failed: number;
}

interface Entry {
  readonly expected: number;
  readonly round: number;
  started: boolean;
  waited: number | undefined;
  deleted: number | undefined;
  events: number;
  eventStatus: number | undefined;
  /** Nobody waits for it any more: whatever is told later comes of its removal. */
  givenUp: boolean;
  failure: string | undefined;
}

/** Most problems that are kept in words. */
const maxExamples = 10;

/**
 * The double entry of a load: each task's status is written down before the task is made, and compared with all that is
 * reported of it, by three ways that do not know of each other. Entries stay to the end, so that a late repeat is seen.
 */
export class Ledger {
  readonly #entries = new Map<string, Entry>();

  expect(id: string, expected: number, round = 1): void {
    if (this.#entries.has(id)) throw new Error(`task ${id} is in the ledger already`);
    this.#entries.set(id, {
      expected,
      round,
      started: false,
      waited: undefined,
      deleted: undefined,
      events: 0,
      eventStatus: undefined,
      givenUp: false,
      failure: undefined,
    });
  }

  /** From here on the task owes an exit. */
  started(id: string): void {
    const entry = this.#entries.get(id);
    if (entry) entry.started = true;
  }

  waited(id: string, status: number): void {
    const entry = this.#entries.get(id);
    if (entry) entry.waited = status;
  }

  /** An exit event of the task's first process. Tasks that are not in the ledger are somebody else's. */
  event(id: string, status: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.events += 1;
    // The first wrong one stays, whatever else is told.
    if (entry.eventStatus === undefined || entry.eventStatus === entry.expected) entry.eventStatus = status;
  }

  deleted(id: string, status: number): void {
    const entry = this.#entries.get(id);
    if (entry) entry.deleted = status;
  }

  /** Its exit did not come in time. */
  lost(id: string): void {
    const entry = this.#entries.get(id);
    if (entry) entry.givenUp = true;
  }

  /** The load was given up before the task came to its end: nothing can be said of it. */
  forget(id: string): void {
    this.#entries.delete(id);
  }

  /** A call failed: the task is removed by force, and only a repeated exit of it is counted besides. */
  failed(id: string, reason: unknown): void {
    const entry = this.#entries.get(id);
    if (entry) entry.failure ??= oneLine(reason);
  }

  /** The state once everything that can be told has been told; before that, running tasks look lost. */
  counts(round?: number): LedgerCounts {
    const counts = { tasks: 0, lost: 0, repeated: 0, wrong: 0, failed: 0 };
    for (const [, entry] of this.#of(round)) {
      counts.tasks += 1;
      if (isLost(entry)) counts.lost += 1;
      if (entry.events > 1) counts.repeated += 1;
      if (isWrong(entry)) counts.wrong += 1;
      if (entry.failure !== undefined) counts.failed += 1;
    }
    return counts;
  }

  /** Tasks by the status asked of them, and how many of these were reported with it by all ways and once. */
  byStatus(round?: number): ReadonlyMap<number, { readonly asked: number; readonly asAsked: number }> {
    const found = new Map<number, { asked: number; asAsked: number }>();
    for (const [, entry] of this.#of(round)) {
      const line = found.get(entry.expected) ?? { asked: 0, asAsked: 0 };
      line.asked += 1;
      const good =
        entry.started && !isLost(entry) && entry.events === 1 && !isWrong(entry) && entry.failure === undefined;
      if (good) line.asAsked += 1;
      found.set(entry.expected, line);
    }
    return new Map([...found].toSorted(([a], [b]) => a - b));
  }

  /** The first few problems, in words; those that are alike but for the task only once. */
  examples(): string[] {
    const found = new Map<string, string[]>();
    for (const [id, entry] of this.#entries) {
      const problem = problemOf(id, entry);
      if (problem === undefined) continue;
      const alike = found.get(problem);
      if (alike) alike.push(id);
      else if (found.size < maxExamples) found.set(problem, [id]);
    }
    return [...found].map(([problem, [first, ...others]]) => {
      const more = others.length === 0 ? '' : ` and ${others.length} more`;
      return `${first}${more}: ${problem}`;
    });
  }

  *#of(round: number | undefined): Iterable<[string, Entry]> {
    for (const line of this.#entries) if (round === undefined || line[1].round === round) yield line;
  }
}

function isLost(entry: Entry): boolean {
  if (entry.givenUp) return true;
  return entry.started && entry.failure === undefined && (entry.waited === undefined || entry.events === 0);
}

/** A task that was removed by force ends otherwise than it was asked to, and rightly so. */
function isWrong(entry: Entry): boolean {
  if (entry.givenUp) return false;
  if (entry.failure !== undefined) return entry.waited !== undefined && entry.waited !== entry.expected;
  return [entry.waited, entry.eventStatus, entry.deleted].some(
    (status) => status !== undefined && status !== entry.expected,
  );
}

function problemOf(id: string, entry: Entry): string | undefined {
  if (entry.failure !== undefined) return entry.failure.replaceAll(id, 'ID');
  const ways = `Wait told ${told(entry.waited)}, the event ${told(entry.eventStatus)}, Delete ${told(entry.deleted)}`;
  if (isWrong(entry)) return `wrong: asked for ${entry.expected}; ${ways}`;
  if (isLost(entry)) return `lost: asked for ${entry.expected}; ${ways}`;
  if (entry.events > 1) return `repeated: ${entry.events} exit events`;
  return undefined;
}

function told(status: number | undefined): string {
  return status === undefined ? 'nothing' : String(status);
}
