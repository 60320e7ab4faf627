import { setTimeout as delay } from 'node:timers/promises';
import { identify, signal } from './host.mjs';
import { Life } from './life.mjs';
import { isPassing, patience, persist, unlessDone } from './persist.mjs';
import { isTrapping, runFor, specAny, trap } from './scripts.mjs';

const sandboxer = 'shim';
const ready = 'SANDBOX_READY';
const killed = 137;
const terminated = 143;
/** How long it is waited for one of which it is not known whether it has ended, in milliseconds. */
const glance = 300;

/** One sandbox with its tasks, from its create to its shutdown, through whatever is done to the daemon meanwhile. */
export class SandboxLife {
  #daemon;
  #ledger;
  #plan;
  #id;
  #ground;
  #pid = 0;

  constructor({ daemon, ledger, plan, id, ground }) {
    this.#daemon = daemon;
    this.#ledger = ledger;
    this.#plan = plan;
    this.#id = id;
    this.#ground = ground;
  }

  async run() {
    const { sandboxStoreDefinition: store } = this.#daemon.definitions;
    this.#ledger.sandboxes.asked(this.#id);
    if (this.#plan.end === 'itself') this.#ledger.sandboxes.willEnd(this.#id, [this.#plan.code]);
    await this.#persist('store', () =>
      unlessDone('ALREADY_EXISTS', () => this.#daemon.call(store.create, { sandbox: this.#sandbox() })),
    );
    await this.#create();
    if (await this.#start()) await this.#live();
    if (await this.#isKnown()) await this.#shutdown();
    await this.#persist('delete from the store', () =>
      unlessDone('NOT_FOUND', () => this.#daemon.call(store.delete, { sandboxId: this.#id })),
    );
    if (await this.#isKnown()) this.#violation('known after its shutdown');
  }

  #violation(text) {
    this.#ledger.violation(`sandbox ${this.#id}: ${text}`);
  }

  #stuck(doing, cause) {
    return new Error(`sandbox ${this.#id}: ${doing}: ${cause.code} ${cause.message}`, { cause });
  }

  #persist(doing, work) {
    return persist(`sandbox ${this.#id}: ${doing}`, work);
  }

  #call(method, more, budget) {
    const { sandboxControllerDefinition: controller } = this.#daemon.definitions;
    return this.#daemon.call(controller[method], { sandboxId: this.#id, sandboxer, ...more }, budget);
  }

  #sandbox() {
    const { runtime, hasProcess } = this.#plan;
    const spec = hasProcess ? { spec: specAny(runtime.spec(this.#script, {})) } : {};
    return { sandboxId: this.#id, sandboxer, runtime: { name: runtime.name }, ...spec };
  }

  get #script() {
    const { end, run, code } = this.#plan;
    return end === 'itself' ? runFor(run, code) : trap(code);
  }

  async #create() {
    const end = Date.now() + patience;
    for (let tries = 0; ; tries += 1) {
      try {
        const budget = tries === 0 ? this.#plan.createBudget : undefined;
        await this.#call('create', { sandbox: this.#sandbox() }, budget);
        return;
      } catch (error) {
        // What an earlier try made may be on its way out still.
        const isExcused = isPassing(error) || (tries > 0 && error.code === 'ALREADY_EXISTS');
        if (!isExcused || Date.now() > end) throw this.#stuck('create', error);
      }
      await delay(100);
      // The answer was lost, not the sandbox.
      if (await this.#isKnown()) return;
    }
  }

  /** Asks for what only the daemon has to know: no shim is called. */
  async #isKnown() {
    return this.#persist('update', async () => {
      try {
        await this.#call('update', { sandbox: this.#sandbox() }, 5000);
        return true;
      } catch (error) {
        if (error.code === 'NOT_FOUND') return false;
        throw error;
      }
    });
  }

  /** True where it runs, or may have; false where it came and went with its shim before that, or its start failed. */
  async #start() {
    const end = Date.now() + patience;
    for (let tries = 0; ; tries += 1) {
      try {
        const { pid } = await this.#call('start');
        return this.#started(pid);
      } catch (error) {
        // An earlier try may have started it, or have failed.
        const isExcused = isPassing(error) || tries > 0 || this.#ledger.sandboxes.mayBeOver(this.#id);
        if (!isExcused || Date.now() > end) throw this.#stuck('start', error);
      }
      await delay(100);
      // One whose start failed is removed.
      if (!(await this.#isKnown())) return false;
      if (await this.#hasEnded()) return false;
      const { state, pid } = await this.#persist('status', () => this.#call('status'));
      if (state === ready) return this.#started(pid);
    }
  }

  #started(pid) {
    this.#pid = pid;
    this.#ledger.sandboxes.started(this.#id, pid);
    if (pid > 0 !== this.#plan.hasProcess) this.#violation(`started with pid ${pid}`);
    return true;
  }

  async #hasEnded() {
    try {
      const { exitStatus } = await this.#call('wait', {}, glance);
      this.#ledger.sandboxes.reported(this.#id, exitStatus);
      return true;
    } catch {
      return false;
    }
  }

  /** Its tasks live, and it ends after them or in their middle. */
  async #live() {
    const { end, isEarly, run, members } = this.#plan;
    const lives = Promise.all(members.map((plan, index) => this.#member(plan, `${this.#id}-${index}`)));
    if (end !== 'itself') await (isEarly ? delay(run) : lives);
    await this.#end();
    await lives;
  }

  async #member(plan, id) {
    const [daemon, ledger, cgroup] = [this.#daemon, this.#ledger, this.#ground.cgroupOf(id)];
    const life = new Life({ daemon, ledger, plan, id, cgroup, sandbox: this.#id });
    await life.run().catch((error) => ledger.violation(`stuck: ${error.message}`));
  }

  async #end() {
    const { end, code } = this.#plan;
    const { sandboxes } = this.#ledger;
    const init = this.#pid > 0 ? identify(this.#pid) : undefined;
    if (end === 'shutdown') {
      sandboxes.willEnd(this.#id, this.#whenStopped);
      await Promise.all([this.#wait({ mayBeLate: true }), this.#shutdown()]);
      return;
    }
    if (end === 'term' && init !== undefined && (await isTrapping(this.#pid))) {
      sandboxes.willEnd(this.#id, [code]);
      signal(init, 'SIGTERM');
    } else if (end === 'host' && init !== undefined) {
      sandboxes.willEnd(this.#id, [killed]);
      signal(init, 'SIGKILL');
    } else if (end !== 'itself') {
      await this.#stop();
    }
    await this.#wait({ mayBeLate: false });
    const { state } = await this.#persist('status', () => this.#call('status'));
    if (state === ready) this.#violation(`${state} after its end was told`);
  }

  /**
   * Its process has the grace of the stop, if any, and may not have come as far as its trap. One without a process ends
   * well, but where the daemon was killed meanwhile and its shim had gone, or would not stop it.
   */
  get #whenStopped() {
    const { hasProcess, code } = this.#plan;
    return hasProcess ? [killed, terminated, code] : [0, killed];
  }

  async #stop() {
    const { grace } = this.#plan;
    this.#ledger.sandboxes.willEnd(this.#id, this.#whenStopped, { gentle: grace > 0 });
    await this.#persist('stop', () => this.#call('stop', { timeoutSecs: grace }, 20_000 + grace * 1000));
  }

  /** `mayBeLate`: it is being shut down, and whoever waits again then finds nothing. */
  async #wait({ mayBeLate }) {
    await this.#persist('wait', async () => {
      try {
        const { exitStatus } = await this.#call('wait', {}, 15_000);
        this.#ledger.sandboxes.reported(this.#id, exitStatus);
      } catch (error) {
        if (error.code !== 'NOT_FOUND') throw error;
        if (!mayBeLate) this.#violation(`Wait does not know it: ${error.message}`);
      }
    });
  }

  /** What keeps it from going, as a task that is being created, passes. */
  async #shutdown() {
    await this.#persist('shutdown', async () => {
      try {
        await this.#call('shutdown', {}, 40_000);
      } catch (error) {
        // An earlier try did it, and its answer was lost.
        if (error.code === 'NOT_FOUND') return;
        if (error.code === 'FAILED_PRECONDITION') error.code = 'UNAVAILABLE';
        throw error;
      }
    });
  }
}
