import { Hearing } from './hearing.mjs';
import { identify, isAlive } from './host.mjs';
import { SandboxLedger } from './sandbox-ledger.mjs';

/** Status of a process that was ended with its lost shim and that nobody saw end. */
const madeUp = 137;

/**
 * What was started and how it has to end, written down outside the daemon. Every process owes exactly one exit, with the
 * status that it was told to end with, or 137 where its shim was killed under it, or one that the end of its sandbox
 * explains; and exactly one event of it, where somebody listened all the time.
 */
export class Ledger {
  #entries = new Map();
  #events = new Map();
  #logged = new Map();
  #kills = [];
  #hearing;
  #now;
  violations = [];
  /** What is known of the sandboxes. */
  sandboxes;

  /** `now` answers milliseconds since 1970. */
  constructor(now = Date.now) {
    this.#now = now;
    this.#hearing = new Hearing(now);
    this.sandboxes = new SandboxLedger({ now, hearing: this.#hearing, violation: (text) => this.violation(text) });
  }

  /**
   * A process runs: `exec` is '' for init. `status` is how it will end, and `since` when its task was asked for, in
   * milliseconds since 1970. `sandbox` is the id of the one that it is in, and `onTerm` its status where that ends it gently.
   */
  started({ task, exec, pid, status, since, sandbox, onTerm }) {
    const key = `${task}/${exec}/${pid}`;
    if (this.#entries.has(key)) return key;
    const identity = identify(pid);
    this.#entries.set(key, { task, exec, pid, status, since, sandbox, onTerm, identity });
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
    const allowed = [entry.status, ...(this.#mayBeLost(entry) ? [madeUp] : []), ...this.sandboxes.statusesIn(entry)];
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

  /** A caller ended it, and the answer that said how went to nobody: what is in the log has to do. */
  answeredToNobody(key) {
    this.#entries.get(key).unheardAt ??= this.#now();
  }

  /** A subscriber got an exit event. */
  event(exit) {
    this.#once(this.#events, exit, 'exit events');
  }

  /** An exit event is in the daemon's log, which outlives it: each exit has to be there. */
  logged(exit) {
    const key = this.#once(this.#logged, exit, 'exits in the log');
    this.sandboxes.memberLogged(key);
  }

  #once(all, { task, exec, pid, status }, what) {
    const key = `${task}/${exec}/${pid}`;
    const seen = all.get(key) ?? [];
    seen.push(status);
    all.set(key, seen);
    if (seen.length > 1) this.violation(`${key}: repeated: ${what} with ${seen.join(', ')}`);
    return key;
  }

  listening() {
    this.#hearing.listening();
  }

  deaf() {
    this.#hearing.deaf();
  }

  violation(text) {
    this.violations.push(text);
  }

  /** To be called at the end, when everything that can be told has been told. */
  check() {
    for (const [key, entry] of this.#entries) {
      if (entry.reported === undefined) this.#readFromLog(key, entry);
      if (entry.reported === undefined) this.violation(`${key}: lost: nobody was told how it ended`);
      if (entry.identity && isAlive(entry.identity)) this.violation(`${key}: process ${entry.pid} lives on`);
      if (entry.reported === undefined) continue;
      if (!this.#logged.has(key)) this.violation(`${key}: lost: its exit is not in the log of events`);
      if (!this.#events.has(key) && this.#hearing.covers(entry)) this.violation(`${key}: lost: no exit event came`);
      const said = [...(this.#events.get(key) ?? []), ...(this.#logged.get(key) ?? [])];
      for (const told of new Set(said)) {
        if (told !== entry.reported) this.violation(`${key}: the event said ${told}, calls said ${entry.reported}`);
      }
    }
    this.sandboxes.check(this.#entries);
  }

  #readFromLog(key, entry) {
    const [status] = this.#logged.get(key) ?? [];
    if (entry.unheardAt === undefined || status === undefined) return;
    this.reported(key, status, 'the log of events');
    entry.reportedAt = entry.unheardAt;
  }

  get counts() {
    const entries = [...this.#entries.entries()];
    const count = (wanted) => entries.filter(([key, entry]) => wanted(entry, key)).length;
    return {
      inits: count(({ exec }) => exec === ''),
      execs: count(({ exec }) => exec !== ''),
      endedWithTheirShim: count((entry) => {
        const { reported, status } = entry;
        return reported !== status && reported === madeUp && this.#mayBeLost(entry);
      }),
      endedWithTheirSandbox: count((entry) => entry.reported !== entry.status && !this.#mayBeLost(entry)),
      exitEvents: this.#events.size,
      exitEventsOfOthers: [...this.#events.keys()].filter((key) => !this.#entries.has(key)).length,
      exitsLogged: this.#logged.size,
      /** Exits whose event was owed: somebody listened all the time. */
      exitEventsOwed: count((entry) => entry.reported !== undefined && this.#hearing.covers(entry)),
      /** Exits whose event nobody got, while the stream was broken. */
      exitEventsMissed: count((entry, key) => entry.reported !== undefined && !this.#events.has(key)),
      ...this.sandboxes.counts,
    };
  }
}
