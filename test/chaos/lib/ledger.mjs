import { identify, isAlive } from './host.mjs';

/** Status of a process that was ended with its lost shim and that nobody saw end. */
const madeUp = 137;
/** How long after an exit was told to a caller its event may come, in milliseconds: the daemon holds none over one second. */
const eventGrace = 3000;

/**
 * What was started and how it has to end, written down outside the daemon. Every process owes exactly one exit, with the
 * status that it was told to end with, or 137 where its shim was killed under it; and exactly one event of it, where
 * somebody listened all the time.
 */
export class Ledger {
  #entries = new Map();
  #events = new Map();
  #logged = new Map();
  #kills = [];
  /** When somebody listened for events, from the first that came until the stream broke. */
  #listened = [];
  #now;
  violations = [];

  /** `now` answers milliseconds since 1970. */
  constructor(now = Date.now) {
    this.#now = now;
  }

  /**
   * A process runs: `exec` is '' for init. `status` is how it will end, and `since` when its task was asked for, in
   * milliseconds since 1970.
   */
  started({ task, exec, pid, status, since }) {
    const key = `${task}/${exec}/${pid}`;
    if (this.#entries.has(key)) return key;
    const identity = identify(pid);
    this.#entries.set(key, { task, exec, pid, status, since, identity, reported: undefined, reportedAt: undefined });
    return key;
  }

  /** From now on this is how the process will end. */
  willEnd(key, status) {
    this.#entries.get(key).status = status;
  }

  /** The shim that these tasks are in is killed. What runs in it may end with 137. */
  shimKilled(tasks) {
    this.#kills.push({ tasks: new Set(tasks), at: this.#now() });
  }

  #mayBeLost({ task, since }) {
    return this.#kills.some(({ tasks, at }) => tasks.has(task) && at >= since);
  }

  /** The daemon says how a process ended: Wait, State or Delete. */
  reported(key, status, how) {
    const entry = this.#entries.get(key);
    const allowed = this.#mayBeLost(entry) ? [entry.status, madeUp] : [entry.status];
    if (!allowed.includes(status)) {
      this.violation(`${key}: wrong: ${how} says ${status}, it ended with ${entry.status}`);
    } else if (entry.reported !== undefined && entry.reported !== status) {
      this.violation(`${key}: changed: ${how} says ${status} after ${entry.reported}`);
    }
    if (entry.reported === undefined) {
      entry.reported = status;
      entry.reportedAt = this.#now();
      if (entry.identity && isAlive(entry.identity)) {
        this.violation(`${key}: ${how} says ${status}, and process ${entry.pid} lives`);
      }
    }
  }

  /** A subscriber got an exit event. */
  event(exit) {
    this.#once(this.#events, exit, 'exit events');
  }

  /** An exit event is in the daemon's log, which outlives it: each exit has to be there. */
  logged(exit) {
    this.#once(this.#logged, exit, 'exits in the log');
  }

  #once(all, { task, exec, pid, status }, what) {
    const key = `${task}/${exec}/${pid}`;
    const seen = all.get(key) ?? [];
    seen.push(status);
    all.set(key, seen);
    if (seen.length > 1) this.violation(`${key}: repeated: ${what} with ${seen.join(', ')}`);
  }

  /** The subscription stands: an event came through it. */
  listening() {
    const last = this.#listened.at(-1);
    if (last === undefined || last.until !== undefined) this.#listened.push({ from: this.#now(), until: undefined });
  }

  /** The subscription is broken: what happens now may be told to nobody. */
  deaf() {
    const last = this.#listened.at(-1);
    if (last !== undefined) last.until ??= this.#now();
  }

  /** Somebody listened from before the process was asked for until long after its exit was told. */
  #wasHeard({ since, reportedAt }) {
    return this.#listened.some(({ from, until }) => from <= since && (until ?? Infinity) >= reportedAt + eventGrace);
  }

  violation(text) {
    this.violations.push(text);
  }

  /** To be called at the end, when everything that can be told has been told. */
  check() {
    for (const [key, entry] of this.#entries) {
      if (entry.reported === undefined) this.violation(`${key}: lost: nobody was told how it ended`);
      if (entry.identity && isAlive(entry.identity)) this.violation(`${key}: process ${entry.pid} lives on`);
      if (entry.reported === undefined) continue;
      if (!this.#logged.has(key)) this.violation(`${key}: lost: its exit is not in the log of events`);
      if (!this.#events.has(key) && this.#wasHeard(entry)) this.violation(`${key}: lost: no exit event came`);
      const said = [...(this.#events.get(key) ?? []), ...(this.#logged.get(key) ?? [])];
      for (const told of new Set(said)) {
        if (told !== entry.reported) this.violation(`${key}: the event said ${told}, calls said ${entry.reported}`);
      }
    }
  }

  get counts() {
    const entries = [...this.#entries.entries()];
    const count = (wanted) => entries.filter(([key, entry]) => wanted(entry, key)).length;
    return {
      inits: count(({ exec }) => exec === ''),
      execs: count(({ exec }) => exec !== ''),
      endedWithTheirShim: count(({ reported, status }) => reported !== status && reported === madeUp),
      exitEvents: this.#events.size,
      exitEventsOfOthers: [...this.#events.keys()].filter((key) => !this.#entries.has(key)).length,
      exitsLogged: this.#logged.size,
      /** Exits whose event was owed: somebody listened all the time. */
      exitEventsOwed: count((entry) => entry.reported !== undefined && this.#wasHeard(entry)),
      /** Exits whose event nobody got, while the stream was broken. */
      exitEventsMissed: count((entry, key) => entry.reported !== undefined && !this.#events.has(key)),
    };
  }
}
