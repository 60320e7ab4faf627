import type { Logger } from '../shared/log/logger.ts';
import type { Report, WorkerSettings } from '../shared/messages/index.ts';
import type { EarlyThreads } from './early-threads.ts';
import { builtEntry } from './entry.ts';
import { OrphanReaper } from './orphan-reaper.ts';
import { Slot } from './slot.ts';

export interface PoolOptions {
  /** How many threads. */
  readonly slots: number;
  readonly settings: Omit<WorkerSettings, 'slot'>;
  readonly logger: Logger;
  readonly onReport: (slot: Slot, report: Report) => void;
  readonly onThreadLost: (slot: Slot, reason: string) => void;
  readonly onThreadReplaced: (slot: Slot) => void;
  /** What the threads load; the built worker entry where absent. */
  readonly entry?: URL | undefined;
  /** Taken before others are started. They load the built entry. */
  readonly early?: EarlyThreads | undefined;
}

/** The slots. Which one does what is the supervisor's to say. */
export class Pool {
  readonly slots: readonly Slot[];
  readonly #orphans: OrphanReaper;

  private constructor(slots: readonly Slot[], orphans: OrphanReaper) {
    this.slots = slots;
    this.#orphans = orphans;
  }

  /** Resolves when every thread serves. Throws UNAVAILABLE where one does not start; none is left then. */
  static async open(options: PoolOptions): Promise<Pool> {
    const orphans = new OrphanReaper({ logger: options.logger });
    const entry = options.entry ?? builtEntry;
    const opened = await Promise.allSettled(
      Array.from({ length: options.slots }, (_, id) =>
        Slot.open({
          id,
          entry,
          takeThread: () => options.early?.take(),
          settings: { ...options.settings, slot: id },
          logger: options.logger,
          onReport: options.onReport,
          onThreadLost: (slot, reason) => {
            orphans.threadLost();
            options.onThreadLost(slot, reason);
          },
          onThreadReplaced: options.onThreadReplaced,
        }),
      ),
    );
    const slots = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = opened.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      await Promise.all(slots.map((slot) => slot.close()));
      throw failed.reason;
    }
    return new Pool(slots, orphans);
  }

  async close(): Promise<void> {
    this.#orphans.close();
    await Promise.all(this.slots.map((slot) => slot.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
