import { setTimeout as sleep } from 'node:timers/promises';
import { type Footprint, type FootprintReader, type Footprints, sum } from './footprint.ts';

/** Reading takes CPU time off what is measured: some milliseconds for each process. */
const readEvery = 1_000;
const lookEvery = 200;
const settleEvery = 500;

/** Looks at the footprint while a round runs, and keeps the largest. */
export class FootprintWatch {
  readonly #reader: FootprintReader | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> = Promise.resolve();
  #busy = false;
  #peak: Footprints | undefined;

  constructor(reader: FootprintReader | undefined) {
    this.#reader = reader;
    if (reader === undefined) return;
    this.#timer = setInterval(() => void this.look(), readEvery);
    this.#timer.unref();
  }

  /** Reads now, unless it is at it already. Resolves when it has read; never rejects. */
  look(): Promise<void> {
    if (!this.#busy) {
      this.#busy = true;
      this.#reading = this.#read().finally(() => {
        this.#busy = false;
      });
    }
    return this.#reading;
  }

  /** Ends the watch; the largest footprint seen, by memory of daemon and shims. */
  async end(): Promise<Footprints | undefined> {
    clearInterval(this.#timer);
    await this.#reading;
    return this.#peak;
  }

  async #read(): Promise<void> {
    // A look that fails is one look less; that the daemon is gone is noticed elsewhere.
    const seen = await this.#reader?.read().catch(() => undefined);
    if (seen !== undefined && (this.#peak === undefined || total(seen).pss > total(this.#peak).pss)) this.#peak = seen;
  }
}

export function total(footprints: Footprints): Footprint {
  return sum(footprints.daemon, footprints.shims);
}

/**
 * The footprint between two rounds: once the shims that have nothing to do have ended, or `budget` milliseconds are
 * over. Only so are rounds comparable: how many shims are left at a round's end, and how old, is chance.
 */
export async function settledFootprint(
  reader: FootprintReader | undefined,
  budget: number,
  signal: AbortSignal,
  looks = 3,
): Promise<Footprints | undefined> {
  if (reader === undefined) return undefined;
  const end = Date.now() + budget;
  while ((await reader.shimPids()).length > 0 && Date.now() < end && !signal.aborted) await sleep(lookEvery);
  // The daemon collects its garbage when it has been idle for some seconds; the smallest of the looks is without it.
  let least: Footprints | undefined;
  for (let look = 0; look < looks && !signal.aborted; look += 1) {
    if (look > 0) await sleep(settleEvery);
    const seen = await reader.read();
    if (seen !== undefined && (least === undefined || total(seen).anonymous < total(least).anonymous)) least = seen;
  }
  return least;
}
