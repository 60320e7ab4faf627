import { identify, isAlive } from './host.mjs';

/** Statuses of processes that are ended with their sandbox. */
const killed = 137;
const terminated = 143;
/** What runc's own init ends with on a SIGTERM: as first process of its pid namespace it cannot be ended by the signal. */
const initTerminated = 2;

/**
 * The sandboxes and how each has to end. One that a caller saw started owes exactly one exit, with a status that was asked
 * for, or 137 where its shim was killed; it comes after the exits of all that was in it.
 */
export class SandboxLedger {
  #entries = new Map();
  /** By the key of a process: which exit of the log was its. */
  #members = new Map();
  #order = 0;
  #now;
  #hearing;
  #violation;

  constructor({ now, hearing, violation }) {
    this.#now = now;
    this.#hearing = hearing;
    this.#violation = violation;
  }

  /** A sandbox is going to be asked for. */
  asked(sandbox) {
    this.#entries.set(sandbox, {
      since: this.#now(),
      /** Whether a caller saw that it runs. */
      started: false,
      /** How it may end, as far as was asked for. */
      statuses: [],
      ending: false,
      gentle: false,
      shimKilled: false,
      reported: undefined,
      reportedAt: undefined,
      events: [],
      logged: [],
      loggedAt: undefined,
    });
  }

  /** A caller was told that it runs; its process is `pid`, where it has one. */
  started(sandbox, pid) {
    const entry = this.#entries.get(sandbox);
    entry.started = true;
    entry.identity = pid > 0 ? identify(pid) : undefined;
  }

  /** From now on it may end, with one of these; what is in it too, which is asked to first where the end is gentle. */
  willEnd(sandbox, statuses, { gentle = false } = {}) {
    const entry = this.#entries.get(sandbox);
    entry.statuses = statuses;
    entry.ending = true;
    entry.gentle = gentle;
  }

  /** Its shim is killed: what no shim is left to say is made up. */
  shimKilled(sandbox) {
    const entry = this.#entries.get(sandbox);
    if (entry !== undefined) entry.shimKilled = true;
  }

  /** Whether it may be over by now, and take no more tasks. */
  mayBeOver(sandbox) {
    const { ending, shimKilled } = this.#entries.get(sandbox);
    return ending || shimKilled;
  }

  /** Statuses that a process may have because of the sandbox that it is in. */
  statusesIn({ sandbox, onTerm }) {
    const { ending = false, gentle = false } = this.#entries.get(sandbox) ?? {};
    if (!ending) return [];
    return gentle ? [killed, terminated, initTerminated, onTerm] : [killed];
  }

  /** Wait says how it ended. */
  reported(sandbox, status) {
    const entry = this.#entries.get(sandbox);
    this.#judge(sandbox, entry, status, 'Wait');
    if (entry.reported !== undefined && entry.reported !== status) {
      this.#violation(`sandbox ${sandbox}: changed: Wait says ${status} after ${entry.reported}`);
    }
    entry.reported ??= status;
    entry.reportedAt ??= this.#now();
    if (entry.identity && isAlive(entry.identity)) {
      this.#violation(`sandbox ${sandbox}: Wait says ${status}, and process ${entry.identity.pid} lives`);
    }
  }

  #judge(sandbox, { statuses, shimKilled, ending }, status, how) {
    // One that was asked to end when its shim went is told to have ended well.
    const unseen = ending ? [killed, 0] : [killed];
    const allowed = shimKilled ? [...statuses, ...unseen] : statuses;
    if (allowed.includes(status)) return;
    this.#violation(
      `sandbox ${sandbox}: wrong: ${how} says ${status}, it ends with ${allowed.join(' or ') || 'nothing'}`,
    );
  }

  /** A subscriber got the exit event of a sandbox. */
  event({ sandbox, status }) {
    const entry = this.#known(sandbox);
    if (entry !== undefined) this.#once(sandbox, entry.events, status, 'exit events');
  }

  /** The exit event of a sandbox is in the daemon's log. */
  logged({ sandbox, status }) {
    const entry = this.#known(sandbox);
    if (entry === undefined) return;
    this.#once(sandbox, entry.logged, status, 'exits in the log');
    this.#order += 1;
    entry.loggedAt ??= this.#order;
  }

  /** The exit event of a process is in the log. */
  memberLogged(key) {
    this.#order += 1;
    if (!this.#members.has(key)) this.#members.set(key, this.#order);
  }

  #known(sandbox) {
    const entry = this.#entries.get(sandbox);
    if (entry === undefined) this.#violation(`sandbox ${sandbox}: an exit of one that nobody asked for`);
    return entry;
  }

  #once(sandbox, seen, status, what) {
    seen.push(status);
    if (seen.length > 1) this.#violation(`sandbox ${sandbox}: repeated: ${what} with ${seen.join(', ')}`);
  }

  /** To be called at the end, with the ledger's entries of processes. */
  check(processes) {
    for (const [sandbox, entry] of this.#entries) this.#check(sandbox, entry);
    for (const [key, { sandbox }] of processes) {
      const { loggedAt } = this.#entries.get(sandbox) ?? {};
      if (loggedAt !== undefined && this.#members.get(key) > loggedAt) {
        this.#violation(`${key}: its exit came after that of sandbox ${sandbox}`);
      }
    }
  }

  #check(sandbox, entry) {
    const { identity, started, events, logged, reported, reportedAt } = entry;
    if (identity && isAlive(identity)) this.#violation(`sandbox ${sandbox}: process ${identity.pid} lives on`);
    // Of one that nobody saw started there may be an exit, or none.
    if (started && logged.length === 0)
      this.#violation(`sandbox ${sandbox}: lost: its exit is not in the log of events`);
    // A Wait that was broken off by a fault may be too late for one that is shut down.
    const [known = reported] = logged;
    if (known !== undefined) this.#judge(sandbox, entry, known, 'the event');
    if (reported === undefined) return;
    for (const told of new Set([...events, ...logged])) {
      if (told !== reported) this.#violation(`sandbox ${sandbox}: the event said ${told}, Wait said ${reported}`);
    }
    if (started && events.length === 0 && this.#hearing.covers({ ...entry, reportedAt })) {
      this.#violation(`sandbox ${sandbox}: lost: no exit event came`);
    }
  }

  get counts() {
    const entries = [...this.#entries.values()];
    const count = (wanted) => entries.filter(wanted).length;
    return {
      sandboxes: count(({ started }) => started),
      sandboxesEndedWithTheirShim: count(({ shimKilled, logged }) => shimKilled && logged[0] === killed),
      sandboxExitEvents: count(({ events }) => events.length > 0),
      sandboxExitsLogged: count(({ logged }) => logged.length > 0),
    };
  }
}
