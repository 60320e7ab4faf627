import { setTimeout as delay } from 'node:timers/promises';
import { identify, signal } from './host.mjs';
import { isPassing, patience, persist, unlessDone } from './persist.mjs';
import { isTrapping, processAny, runFor, specAny, trap } from './scripts.mjs';

const sigkill = 9;
const status = { unknown: 0, created: 1, running: 2, stopped: 3, paused: 4, pausing: 5 };
/** A plan that the seed makes, whatever happens around it. A task that ends by itself runs for at most `longestRun` ms. */
export function planLife(random, runtimes, longestRun) {
  const end = random.weighted({ itself: 4, api: 2, term: 2, host: 1, forced: 1 });
  return {
    runtime: random.pick(runtimes),
    end,
    code: random.between(1, 120),
    run: random.between(0, longestRun),
    execs: Array.from({ length: random.weighted({ 0: 5, 1: 3, 3: 1 }) }, () => random.between(1, 120)),
    /** For how many milliseconds it is paused; not at all where undefined. */
    pause: random.chance(0.15) ? random.between(1, 400) : undefined,
    /** Whether its root file system is mounted by the shim. */
    isMounted: random.chance(0.4),
    /** Of the first create's caller, in milliseconds; most are patient. */
    createBudget: random.chance(0.12) ? random.between(1, 80) : undefined,
  };
}

/** One container from its create to its delete, through whatever is done to the daemon meanwhile. */
export class Life {
  #daemon;
  #ledger;
  #plan;
  #id;
  #cgroup;
  #sandbox;
  #key;
  #pid = 0;
  #since = Date.now();

  /** `sandbox`: the id of the one that it belongs to; none where undefined. */
  constructor({ daemon, ledger, plan, id, cgroup, sandbox }) {
    this.#daemon = daemon;
    this.#ledger = ledger;
    this.#plan = plan;
    this.#id = id;
    this.#cgroup = cgroup;
    this.#sandbox = sandbox;
  }

  async run() {
    const { containersDefinition: containers } = this.#daemon.definitions;
    await this.#persist('create container', () =>
      unlessDone('ALREADY_EXISTS', () => this.#daemon.call(containers.create, { container: this.#container() })),
    );
    if (await this.#create()) {
      if (await this.#start()) {
        for (const [index, code] of this.#plan.execs.entries()) await this.#exec(`exec-${index}`, code);
        if (this.#plan.pause !== undefined) await this.#pause(this.#plan.pause);
        await this.#end();
      } else {
        await this.#giveUp();
      }
    }
    await this.#persist('delete container', () =>
      unlessDone('NOT_FOUND', () => this.#daemon.call(containers.delete, { id: this.#id })),
    );
  }

  #container() {
    const { runtime, end, code, run, isMounted } = this.#plan;
    const script = end === 'itself' ? runFor(run, code) : trap(code);
    return {
      id: this.#id,
      runtime: { name: runtime.name },
      spec: specAny(runtime.spec(script, { cgroup: this.#cgroup, isMounted })),
      ...(this.#sandbox === undefined ? {} : { sandbox: this.#sandbox }),
    };
  }

  #persist(doing, work) {
    return persist(`${this.#id}: ${doing}`, work);
  }

  async #get(exec = '') {
    return this.#persist('get', async () => {
      try {
        const { process } = await this.#daemon.call(this.#tasks.get, { containerId: this.#id, execId: exec }, 5000);
        // Nothing is known of a task whose shim is stopped: ask again.
        if ((process.status ?? 0) === status.unknown)
          throw Object.assign(new Error('UNKNOWN'), { code: 'UNAVAILABLE' });
        return process;
      } catch (error) {
        if (error.code === 'NOT_FOUND') return undefined;
        throw error;
      }
    });
  }

  get #tasks() {
    return this.#daemon.definitions.tasksDefinition;
  }

  /** True where the task is there; false where it came and went before it was started, or came too late for its sandbox. */
  async #create() {
    const { runtime, isMounted, createBudget } = this.#plan;
    const request = { containerId: this.#id, rootfs: isMounted ? runtime.rootfs : [] };
    const end = Date.now() + patience;
    let budget = createBudget;
    for (;;) {
      let failure;
      try {
        const { pid } = await this.#daemon.call(this.#tasks.create, request, budget);
        this.#created(pid);
        return true;
      } catch (error) {
        failure = error;
      }
      budget = undefined;
      if (Date.now() > end) throw new Error(`${this.#id}: create: ${failure.code} ${failure.message}`);
      await delay(100);
      const found = await this.#get();
      if (found === undefined && this.#isRefused(failure)) return false;
      if (found === undefined) continue;
      // The answer was lost, not the task.
      this.#created(found.pid);
      if (found.status !== status.stopped) return true;
      this.#ledger.reported(this.#key, found.exitStatus, 'Get');
      await this.#delete();
      return false;
    }
  }

  /** Its sandbox takes no more tasks. One that has to take it has no such excuse. */
  #isRefused({ code }) {
    if (this.#sandbox === undefined || !['FAILED_PRECONDITION', 'NOT_FOUND'].includes(code)) return false;
    return this.#ledger.sandboxes.mayBeOver(this.#sandbox);
  }

  /** A task that was created owes an exit too: an init that is killed before its start. */
  #created(pid) {
    this.#pid = pid;
    this.#key = this.#started('', pid, 137);
  }

  #started(exec, pid, status) {
    const about = { sandbox: this.#sandbox, onTerm: this.#plan.code, since: this.#since };
    return this.#ledger.started({ task: this.#id, exec, pid, status, ...about });
  }

  /** Its pid; undefined where it cannot be started. */
  async #start(exec = '') {
    const end = Date.now() + patience;
    for (;;) {
      let failure;
      try {
        const { pid } = await this.#daemon.call(this.#tasks.start, { containerId: this.#id, execId: exec });
        return pid;
      } catch (error) {
        failure = error;
      }
      await delay(100);
      const found = await this.#get(exec);
      if (found === undefined) return undefined;
      // The answer was lost, not the start; it may be over by now.
      if (found.status !== status.created) return found.pid;
      // It cannot be started any more.
      if (!isPassing(failure) || failure.code === 'UNKNOWN' || Date.now() > end) return undefined;
    }
  }

  async #exec(exec, code) {
    const { runtime } = this.#plan;
    const spec = processAny(runtime.process(`exit ${code}`));
    const request = { containerId: this.#id, execId: exec, spec };
    const end = Date.now() + patience;
    for (;;) {
      try {
        await this.#daemon.call(this.#tasks.exec, request);
        break;
      } catch (error) {
        // The task has ended meanwhile, or the answer was lost and not the exec.
        if (error.code === 'ALREADY_EXISTS') break;
        if (['NOT_FOUND', 'FAILED_PRECONDITION', 'INVALID_ARGUMENT'].includes(error.code)) return;
        await delay(100);
        const init = await this.#get();
        if (init === undefined || init.status !== status.running || Date.now() > end) return;
      }
    }
    const pid = await this.#start(exec);
    if (pid) {
      const key = this.#started(exec, pid, code);
      // One that does not end before its init is killed with it.
      await this.#wait(exec, key, (told) => {
        if (told === 137) this.#ledger.willEnd(key, this.#plan.end === 'itself' ? 137 : code);
      });
    }
    await this.#daemon.call(this.#tasks.deleteProcess, { containerId: this.#id, execId: exec }).catch(() => undefined);
  }

  /** It may end, be lost, or not be paused at all meanwhile; what was paused has to go on. */
  async #pause(milliseconds) {
    await this.#daemon.call(this.#tasks.pause, { containerId: this.#id }).catch(() => undefined);
    await delay(milliseconds);
    await this.#persist('resume', async () => {
      await this.#daemon.call(this.#tasks.resume, { containerId: this.#id }).catch(() => undefined);
      const found = await this.#get();
      if (found?.status === status.paused || found?.status === status.pausing) {
        throw Object.assign(new Error('it is paused still'), { code: 'UNAVAILABLE' });
      }
    });
  }

  async #end() {
    const { end, code } = this.#plan;
    const init = identify(this.#pid);
    if (end === 'itself') {
      this.#ledger.willEnd(this.#key, code);
    } else if (end === 'term' && init !== undefined && (await isTrapping(this.#pid))) {
      this.#ledger.willEnd(this.#key, code);
      signal(init, 'SIGTERM');
    } else if (end === 'host' && init !== undefined) {
      signal(init, 'SIGKILL');
    } else if (end === 'forced') {
      await this.#force();
      return;
    } else {
      await this.#kill();
    }
    await this.#wait('', this.#key);
    await this.#delete();
  }

  async #kill() {
    await this.#persist('kill', async () => {
      try {
        await this.#daemon.call(this.#tasks.kill, { containerId: this.#id, signal: sigkill, all: true }, 8000);
      } catch (error) {
        if (['NOT_FOUND', 'FAILED_PRECONDITION'].includes(error.code)) return;
        throw error;
      }
    });
  }

  async #force() {
    const request = { containerId: this.#id, force: true };
    await this.#persist('forced delete', async () => {
      try {
        const { exitStatus } = await this.#daemon.call(
          this.#daemon.definitions.adminDefinition.deleteTask,
          request,
          30_000,
        );
        this.#ledger.reported(this.#key, exitStatus, 'forced delete');
      } catch (error) {
        // An earlier try did it, and its answer was lost.
        if (error.code !== 'NOT_FOUND') throw error;
        this.#ledger.answeredToNobody(this.#key);
      }
    });
  }

  /** A task that could not be started: it is ended, whatever it is, and deleted. */
  async #giveUp() {
    if ((await this.#get()) === undefined) {
      this.#ledger.violation(`${this.#id}: gone before anybody deleted it`);
      return;
    }
    await this.#force();
  }

  async #wait(exec, key, before = () => undefined) {
    await this.#persist('wait', async () => {
      try {
        const request = { containerId: this.#id, execId: exec };
        const { exitStatus } = await this.#daemon.call(this.#tasks.wait, request, 15_000);
        before(exitStatus);
        this.#ledger.reported(key, exitStatus, 'Wait');
      } catch (error) {
        if (error.code !== 'NOT_FOUND') throw error;
        this.#ledger.violation(`${key}: Wait does not know it: ${error.message}`);
      }
    });
  }

  async #delete() {
    await this.#persist('delete', async () => {
      try {
        const { exitStatus } = await this.#daemon.call(this.#tasks.delete, { containerId: this.#id });
        this.#ledger.reported(this.#key, exitStatus, 'Delete');
      } catch (error) {
        // An earlier try did it, and its answer was lost.
        if (error.code !== 'NOT_FOUND') throw error;
      }
    });
  }
}
