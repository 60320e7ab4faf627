import type { Logger } from '../shared/log/logger.ts';
import { type Vitals, VitalsMonitor } from '../shared/util/vitals.ts';

/** The main thread's vitals, and the resident memory of the whole process in bytes. */
export interface MainVitals extends Vitals {
  readonly memory: number;
}

/** A delay of an event loop that is worth a line in the log, in milliseconds. */
const lateLoop = 250;
/** Resident memory that is, in bytes; then again with each quarter more. */
const muchMemory = 256 * 2 ** 20;

/** Watches the threads: their event loops and memory are measured all the time, and what is high is logged. */
export class Watchdog {
  readonly #logger: Logger;
  readonly #monitor: VitalsMonitor;
  readonly #slots = new Map<number, Vitals>();
  #memory = process.memoryUsage.rss();
  #memoryLimit = muchMemory;

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#monitor = new VitalsMonitor({ onWindow: (vitals) => this.#look(vitals) });
  }

  get main(): MainVitals {
    return { ...this.#monitor.last, memory: this.#memory };
  }

  /** Undefined for a slot that has told nothing yet. */
  slot(id: number): Vitals | undefined {
    return this.#slots.get(id);
  }

  /** Takes what a slot's thread says of itself. */
  note(slot: number, vitals: Vitals): void {
    this.#slots.set(slot, vitals);
    this.#judge(vitals, { slot });
  }

  /** The thread is gone, and what it said with it. */
  forget(slot: number): void {
    this.#slots.delete(slot);
  }

  close(): void {
    this.#monitor.close();
  }

  #look(vitals: Vitals): void {
    this.#judge(vitals, { thread: 'main' });
    this.#memory = process.memoryUsage.rss();
    if (this.#memory < this.#memoryLimit) return;
    this.#logger.warn('memory high', { megabytes: Math.round(this.#memory / 2 ** 20) });
    this.#memoryLimit = this.#memory * 1.25;
  }

  #judge({ delayMax, delayP99 }: Vitals, who: Readonly<Record<string, unknown>>): void {
    if (delayMax < lateLoop) return;
    this.#logger.warn('event loop late', { ...who, worst: Math.round(delayMax), p99: Math.round(delayP99) });
  }
}
