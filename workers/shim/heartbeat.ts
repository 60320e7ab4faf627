import { hasCode, TaskError } from '../../src/shared/errors/index.ts';
import { deadlineIn } from '../../src/shared/util/deadline.ts';
import type { WorkerSlot } from '../slot.ts';
import { dropCondemned } from './condemned.ts';
import { reconcileProcesses } from './lost-exits.ts';
import type { Shim } from './shim.ts';
import { boundLog } from './shim-log.ts';
import { endStuckRuntimes } from './watchdog.ts';

/** Looks for shims that are due, in one period: so evenly are they spread. */
const looksInPeriod = 20;

/**
 * Looks at each live shim of a slot once in a period: whether it answers, and whether a process ended of which it says
 * nothing. The shims take their turns apart from each other, and one that is late delays no other's.
 */
export class Heartbeat {
  readonly #slot: WorkerSlot;
  readonly #period: number;
  /** When each shim's next turn is; the shims themselves are not kept alive by it. */
  readonly #due = new WeakMap<Shim, number>();
  readonly #busy = new WeakSet<Shim>();

  /** Begins at once, and ends with the thread. */
  constructor(slot: WorkerSlot) {
    this.#slot = slot;
    this.#period = slot.settings.heartbeat;
    setInterval(() => this.#look(), Math.max(20, this.#period / looksInPeriod)).unref();
  }

  #look(): void {
    const now = Date.now();
    for (const shim of this.#slot.shims.values()) {
      const due = this.#due.get(shim);
      if (due === undefined) this.#due.set(shim, now + Math.random() * this.#period);
      else if (due <= now && shim.state === 'live' && !this.#busy.has(shim)) {
        this.#due.set(shim, now + this.#period);
        this.#busy.add(shim);
        this.#beat(shim)
          .catch((error: unknown) => {
            this.#slot.logger.warn('heartbeat failed', { ...shim.ref, reason: TaskError.from(error).message });
          })
          .finally(() => this.#busy.delete(shim));
      }
    }
  }

  async #beat(shim: Shim): Promise<void> {
    const answers = await this.#answers(shim);
    if (shim.state !== 'live') return;
    if (shim.late === answers) this.#tell(shim, !answers);
    if (!answers) await endStuckRuntimes(this.#slot, shim);
    await reconcileProcesses(this.#slot, shim);
    if (await boundLog(shim.bundle)) this.#slot.logger.warn('shim log shortened', { ...shim.ref, kept: 'its end' });
    if (shim.forgetting.size > 0 && shim.state === 'live') await dropCondemned(this.#slot, shim, answers);
  }

  /** A shim that answered something else lately need not be asked. */
  async #answers(shim: Shim): Promise<boolean> {
    if (!shim.late && Date.now() - shim.client.answeredAt < this.#period) return true;
    // Once more where it is late: that may be our own doing, where this thread had no time to read.
    for (const _ of shim.late ? [1] : [1, 2]) {
      const deadline = deadlineIn(this.#slot.settings.deadlines.state);
      try {
        await shim.client.call((api) => api.connect, { id: shim.ref.shim }, { deadline });
        return true;
      } catch (error) {
        // An error is an answer; the end of its connection is handled where that is watched.
        if (!hasCode(error, 'DEADLINE_EXCEEDED')) return true;
      }
    }
    return false;
  }

  #tell(shim: Shim, late: boolean): void {
    shim.late = late;
    this.#slot.logger[late ? 'warn' : 'info'](late ? 'shim late' : 'shim answers again', { ...shim.ref });
    this.#slot.report({ kind: 'shim-late', ...shim.ref, late });
  }
}
