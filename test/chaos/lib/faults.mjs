import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identify, names, read, signal } from './host.mjs';

/** Shims of sandboxes are few, and get more than their share. */
const weights = { daemon: 3, thread: 3, killShim: 4, stopShim: 3, killSandbox: 2, stopSandbox: 1, disk: 1, clients: 2 };

/** How long a fault for a sandbox's shim waits for one that has tasks, in milliseconds. */
const sandboxPatience = 2000;

/** How the daemon says that a shim is a sandbox's. */
const ofSandbox = ({ placement }) => placement === 'sandbox';

/** The faults of a run, made by the seed before it begins: what, when (milliseconds), and numbers to choose by. */
export function planFaults(random, milliseconds) {
  const faults = [];
  for (let at = 2000; at < milliseconds; at += random.between(700, 4000)) {
    const kind = random.weighted(weights);
    faults.push({ at, kind, choice: random.next(), lasts: random.between(100, 4000) });
  }
  return faults;
}

/** Does what was planned, when it was planned; faults that last overlap with those after them. */
export class Faults {
  #daemon;
  #ledger;
  #state;
  #namespace;
  #lasting = new Set();
  /** The shims that the daemon last told of. */
  #shims = [];
  #down = false;
  /** Where shims were seen to listen. */
  sockets = new Set();
  counts = Object.fromEntries(Object.keys(weights).map((kind) => [kind, 0]));

  constructor({ daemon, ledger, state, namespace }) {
    this.#daemon = daemon;
    this.#ledger = ledger;
    this.#state = state;
    this.#namespace = namespace;
  }

  /** Resolves when the last one is over and everything stopped goes on. */
  async run(plan, log) {
    const began = Date.now();
    for (const fault of plan) {
      await delay(Math.max(0, began + fault.at - Date.now()));
      log(`fault ${fault.kind} for ${fault.lasts} ms`);
      const lasting = this.#do(fault)
        .catch((error) => this.#ledger.violation(`fault ${fault.kind}: ${error.message}`))
        .finally(() => this.#lasting.delete(lasting));
      this.#lasting.add(lasting);
    }
    await Promise.all(this.#lasting);
  }

  async #do({ kind, choice, lasts }) {
    const done = await this.#faultOf(kind)(choice, lasts);
    if (done !== false) this.counts[kind] += 1;
  }

  #faultOf(kind) {
    switch (kind) {
      case 'daemon':
        return (choice, lasts) => this.#killDaemon(choice, lasts);
      case 'thread':
        return (choice) => this.#restartThread(choice);
      case 'killShim':
        return async (choice) => this.#killShim(await this.#chooseShim(choice));
      case 'stopShim':
        return async (choice, lasts) => this.#stopShim(await this.#chooseShim(choice), lasts);
      case 'killSandbox':
        return async (choice) => this.#killShim(await this.#chooseSandbox(choice));
      case 'stopSandbox':
        return async (choice, lasts) => this.#stopShim(await this.#chooseSandbox(choice), lasts);
      case 'disk':
        return (_, lasts) => this.#fillDisk(lasts);
      default:
        return () => this.#daemon.cancelClients();
    }
  }

  async #killDaemon(choice, lasts) {
    if (this.#down) return false;
    this.#down = true;
    try {
      await this.#shimsNow();
      await this.#daemon.kill();
      await delay(lasts / 4);
      if (choice < 0.3) {
        // Once more, in the middle of its start.
        const starting = this.#daemon.start().catch(() => undefined);
        await delay(lasts / 10);
        await this.#daemon.kill();
        await starting;
      }
      await this.#startAgain();
    } finally {
      this.#down = false;
    }
    return true;
  }

  /** A full disk may keep it from starting; that passes. */
  async #startAgain() {
    const end = Date.now() + 20_000;
    for (;;) {
      try {
        return await this.#daemon.start();
      } catch (error) {
        if (Date.now() > end) throw error;
      }
      await delay(300);
    }
  }

  async #restartThread(choice) {
    const { adminDefinition } = this.#daemon.definitions;
    const id = choice < 0.5 ? 0 : 1;
    return this.#daemon.call(adminDefinition.restartSlot, { id }, 5000).then(
      () => true,
      () => false,
    );
  }

  /** As the daemon knows them now, or knew them last. */
  async #shimsNow() {
    try {
      const { shims } = await this.#daemon.call(this.#daemon.definitions.adminDefinition.listShims, {}, 1000);
      for (const { address } of shims) this.sockets.add(address.replace(/^unix:\/\//, ''));
      this.#shims = shims
        .map(({ id, pid, tasks, placement }) => ({ id, tasks, placement, process: identify(pid) }))
        .filter(({ process }) => process !== undefined);
    } catch {
      // It is down: shims live on.
    }
    return this.#shims;
  }

  /** One that holds tasks, where one does. */
  async #chooseShim(choice) {
    const shims = await this.#shimsNow();
    const used = shims.filter(({ tasks }) => tasks > 0);
    const from = used.length > 0 ? used : shims;
    return from[Math.floor(choice * from.length)];
  }

  /** One of a sandbox, with tasks where one has some. They are few and do not live long: waits for the next. */
  async #chooseSandbox(choice) {
    const end = Date.now() + sandboxPatience;
    for (;;) {
      const shims = (await this.#shimsNow()).filter(ofSandbox);
      const used = shims.filter(({ tasks }) => tasks > 0);
      const from = used.length > 0 || Date.now() < end ? used : shims;
      if (from.length > 0 || Date.now() > end) return from[Math.floor(choice * from.length)];
      await delay(50);
    }
  }

  #killShim(shim) {
    if (shim === undefined) return false;
    if (ofSandbox(shim)) this.#ledger.sandboxes.shimKilled(shim.id);
    // Before it dies: an exit that is told at once is judged by what is in the ledger. And after, for what was just added.
    this.#ledger.shimKilled(this.#tasksIn(shim));
    const killed = signal(shim.process, 'SIGKILL');
    this.#ledger.shimKilled(this.#tasksIn(shim));
    return killed;
  }

  /** The tasks whose bundles say that they are in this shim: that is written before the shim is asked for them. */
  #tasksIn({ id }) {
    const inside = path.join(this.#state, this.#namespace);
    return names(inside).filter((task) => {
      try {
        return JSON.parse(read(path.join(inside, task, 'task.json'))).shim === id;
      } catch {
        // No task, or half made.
        return false;
      }
    });
  }

  async #stopShim(shim, lasts) {
    if (shim === undefined || !signal(shim.process, 'SIGSTOP')) return false;
    try {
      await delay(lasts);
    } finally {
      signal(shim.process, 'SIGCONT');
    }
    return true;
  }

  async #fillDisk(lasts) {
    const file = path.join(this.#state, 'filler');
    const { bavail, bsize } = statfsSync(this.#state);
    try {
      writeFileSync(file, Buffer.alloc(Math.max(0, bavail * bsize)));
    } catch {
      // Full is what it should be.
    }
    try {
      await delay(lasts / 2);
    } finally {
      rmSync(file, { force: true });
    }
  }
}
