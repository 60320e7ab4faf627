import { identify, isAlive } from './host.mjs';

/** Status of a process that was ended with its lost shim and that nobody saw end. */
const madeUp = 137;

/**
 * What was started and how it has to end, written down outside the daemon. Every process owes exactly one exit, with the
 * status that it was told to end with, or 137 where its shim was killed under it.
 */
export class Ledger {
  #entries = new Map();
  #events = new Map();
  #kills = [];
  violations = [];

  /**
   * A process runs: `exec` is '' for init. `status` is how it will end, `runtime` says which shims can take it along, and
   * `since` when it was asked for, in milliseconds since 1970.
   */
  started({ task, exec, pid, status, runtime, since }) {
    const key = `${task}/${exec}/${pid}`;
    if (this.#entries.has(key)) return key;
    const identity = identify(pid);
    this.#entries.set(key, { task, exec, pid, status, runtime, since, identity, reported: undefined });
    return key;
  }

  /** From now on this is how the process will end. */
  willEnd(key, status) {
    this.#entries.get(key).status = status;
  }

  /** A shim of `runtime` is being killed: that of one task, or one that any may be in. What runs in it may end with 137. */
  shimKilled(runtime, task) {
    this.#kills.push({ runtime, task, at: Date.now() });
  }

  #mayBeLost({ runtime, task, since }) {
    return this.#kills.some(
      (kill) => kill.runtime === runtime && (kill.task === undefined || kill.task === task) && kill.at >= since,
    );
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
    entry.reported ??= status;
  }

  event({ task, exec, pid, status }) {
    const key = `${task}/${exec}/${pid}`;
    const seen = this.#events.get(key) ?? [];
    seen.push(status);
    this.#events.set(key, seen);
    if (seen.length > 1) this.violation(`${key}: repeated: exit events with ${seen.join(', ')}`);
  }

  violation(text) {
    this.violations.push(text);
  }

  /** To be called at the end, when everything that can be told has been told. */
  check() {
    for (const [key, entry] of this.#entries) {
      if (entry.reported === undefined) this.violation(`${key}: lost: nobody was told how it ended`);
      if (entry.identity && isAlive(entry.identity)) this.violation(`${key}: process ${entry.pid} lives on`);
      const [told] = this.#events.get(key) ?? [];
      if (told !== undefined && entry.reported !== undefined && told !== entry.reported) {
        this.violation(`${key}: the event said ${told}, calls said ${entry.reported}`);
      }
    }
  }

  get counts() {
    const entries = [...this.#entries.values()];
    return {
      inits: entries.filter(({ exec }) => exec === '').length,
      execs: entries.filter(({ exec }) => exec !== '').length,
      exitEvents: this.#events.size,
      exitEventsOfOthers: [...this.#events.keys()].filter((key) => !this.#entries.has(key)).length,
      endedWithTheirShim: entries.filter(({ reported, status }) => reported !== status && reported === madeUp).length,
    };
  }
}
