import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface IdleCollectorOptions {
  /** Milliseconds between two looks. Default 500. */
  readonly every?: number | undefined;
  /**
   * Runs after each collection, and twice more while the thread stays idle: other threads collect at other times, and
   * what they free of the process's memory is free only then.
   */
  readonly afterwards?: (() => void) | undefined;
}

/** Shares of the time between two looks that the thread worked. Time that a busy host takes from it counts as work. */
const busy = 0.1;
const idle = 0.1;
/** The same of the processors' time that the whole process had: on a busy host this tells of idleness. */
const idleProcess = 0.03;
/** Looks in a row at an idle thread before it is collected. */
const quiet = 2;
/** Looks between two collections, at least: work that comes and goes is not slowed down by them. */
const apart = 10;
/** Bytes of heap by which a thread that is never busy may grow before it is collected as well. */
const growth = 2 << 20;
const echoes = 2;

/**
 * Collects a thread's garbage once it has little to do after it was busy. V8 collects when it needs room, so a burst's
 * garbage, and the heap that grew for it, would stay for as long as nothing happens. Never while there is work: a
 * collection takes some 20 ms.
 */
export class IdleCollector implements Disposable {
  readonly #collect: () => void;
  readonly #afterwards: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  #last: EventLoopUtilization = performance.eventLoopUtilization();
  #lastCpu: NodeJS.CpuUsage = process.cpuUsage();
  #lastLook = performance.now();
  #wasBusy = true;
  #collections = 0;
  #looks = apart;
  #quiet = 0;
  #echoes = 0;
  #used = 0;

  constructor(options: IdleCollectorOptions = {}) {
    this.#collect = collector();
    this.#afterwards = options.afterwards;
    this.#timer = setInterval(() => this.#look(), options.every ?? 500);
    this.#timer.unref();
  }

  /** How often it has collected. */
  get collections(): number {
    return this.#collections;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #look(): void {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#last);
    this.#last = now;
    this.#looks += 1;
    if (utilization >= busy) this.#wasBusy = true;
    const share = this.#processShare();
    this.#quiet = utilization <= idle || share <= idleProcess ? this.#quiet + 1 : 0;
    if (this.#quiet < quiet || this.#looks < apart) return;
    if (this.#wasBusy || usedHeap() > this.#used + growth) {
      this.#wasBusy = false;
      this.#collections += 1;
      this.#collect();
      this.#used = usedHeap();
      this.#echoes = echoes;
    } else if (this.#echoes > 0) {
      this.#echoes -= 1;
      // V8 gives back a young generation that has grown, some 20 MB, only once little was allocated for seconds.
      this.#collect();
    } else {
      return;
    }
    this.#looks = 0;
    this.#afterwards?.();
    // What this took is no work.
    this.#last = performance.eventLoopUtilization();
  }

  #processShare(): number {
    const { user, system } = process.cpuUsage(this.#lastCpu);
    const now = performance.now();
    const share = (user + system) / 1000 / (now - this.#lastLook);
    this.#lastCpu = process.cpuUsage();
    this.#lastLook = now;
    return share;
  }
}

function usedHeap(): number {
  return getHeapStatistics().used_heap_size;
}

/** V8's own collection, which Node shows only to programs that were started for it. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  return typeof collect === 'function' ? () => void collect() : () => undefined;
}
