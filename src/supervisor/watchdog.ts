import { type Trouble, worse } from '../shared/health.ts';
import type { Logger } from '../shared/log/logger.ts';
import { type Vitals, VitalsMonitor, vitalsWindow } from '../shared/util/vitals.ts';

/** The main thread's vitals, and the resident memory of the whole process in bytes. */
export interface MainVitals extends Vitals {
  readonly memory: number;
}

/** A delay of an event loop that is worth a line in the log, in milliseconds. */
const lateLoop = 250;
/** Resident memory that is, in bytes; then again with each quarter more. */
const muchMemory = 256 * 2 ** 20;
/** Windows that a thread may be behind with its vitals before it is taken for one that hangs. */
const missedWindows = 3;

/** So many windows in a row have to be late for a thread to be in trouble: a busy host makes single ones so. */
const lateWindows = 3;

/** What a thread said last. */
interface Said {
  readonly vitals: Vitals;
  /** In milliseconds since 1970. */
  readonly at: number;
  /** The windows in a row, up to this one, in which its loop was late: how many, and when the first of them ended. */
  readonly late: { readonly windows: number; readonly since: number } | undefined;
}

/** Watches the threads: their event loops and memory are measured all the time, and what is high is logged. */
export class Watchdog {
  readonly #logger: Logger;
  readonly #monitor: VitalsMonitor;
  readonly #slots = new Map<number, Said>();
  #main: Said | undefined;
  #memory = process.memoryUsage.rss();
  #memoryLimit = muchMemory;
  #muchSince: number | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#monitor = new VitalsMonitor({ onWindow: (vitals) => this.#look(vitals) });
  }

  get main(): MainVitals {
    return { ...this.#monitor.last, memory: this.#memory };
  }

  /** Of the last window. */
  get mainTrouble(): Trouble | undefined {
    return worse(loopTrouble(this.#main), this.#memoryTrouble);
  }

  get #memoryTrouble(): Trouble | undefined {
    if (this.#muchSince === undefined) return undefined;
    const reason = `the daemon takes ${Math.round(this.#memory / 2 ** 20)} MB of memory`;
    return { state: 'degraded', since: this.#muchSince, reason };
  }

  /** Undefined for a slot that has told nothing yet. */
  slot(id: number): Vitals | undefined {
    return this.#slots.get(id)?.vitals;
  }

  /** Of a slot whose thread serves. */
  slotTrouble(id: number, now = Date.now()): Trouble | undefined {
    const said = this.#slots.get(id);
    if (said === undefined) return undefined;
    const silence = now - said.at;
    if (silence <= missedWindows * vitalsWindow) return loopTrouble(said);
    const reason = `its thread hangs: it has said nothing for ${Math.round(silence / 1000)} s; 'shimd slots restart ${id}' replaces it`;
    return { state: 'failed', since: said.at, reason };
  }

  /** Takes what a slot's thread says of itself. */
  note(slot: number, vitals: Vitals): void {
    this.#slots.set(slot, saidAfter(this.#slots.get(slot), vitals));
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
    this.#main = saidAfter(this.#main, vitals);
    this.#judge(vitals, { thread: 'main' });
    this.#memory = process.memoryUsage.rss();
    this.#muchSince = this.#memory < muchMemory ? undefined : (this.#muchSince ?? Date.now());
    if (this.#memory < this.#memoryLimit) return;
    this.#logger.warn('memory high', { megabytes: Math.round(this.#memory / 2 ** 20) });
    this.#memoryLimit = this.#memory * 1.25;
  }

  #judge({ delayMax, delayP99 }: Vitals, who: Readonly<Record<string, unknown>>): void {
    if (delayMax < lateLoop) return;
    this.#logger.warn('event loop late', { ...who, worst: Math.round(delayMax), p99: Math.round(delayP99) });
  }
}

function saidAfter(before: Said | undefined, vitals: Vitals): Said {
  const at = Date.now();
  if (vitals.delayMax < lateLoop) return { vitals, at, late: undefined };
  const { windows = 0, since = at } = before?.late ?? {};
  return { vitals, at, late: { windows: windows + 1, since } };
}

function loopTrouble(said: Said | undefined): Trouble | undefined {
  if (said?.late === undefined || said.late.windows < lateWindows) return undefined;
  const reason = `its event loop is late again and again, by ${Math.round(said.vitals.delayMax)} ms in the last seconds`;
  return { state: 'degraded', since: said.late.since, reason };
}
