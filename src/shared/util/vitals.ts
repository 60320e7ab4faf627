import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** How a thread is doing. Delays in milliseconds: how late its event loop came to what was due. Memory in bytes. */
export interface Vitals {
  /** Of a hundred looks in the last window ninety-nine were at most this late. */
  readonly delayP99: number;
  /** The latest of the last window. */
  readonly delayMax: number;
  /** The same as `delayP99`, since the thread began. */
  readonly delayP99Ever: number;
  readonly delayMaxEver: number;
  /** JavaScript's heap in use, with the buffers outside it. */
  readonly heap: number;
}

/** Usual length of a window, in milliseconds. */
export const vitalsWindow = 5000;

export interface VitalsMonitorOptions {
  /** Length of a window in milliseconds. Default 5 000. */
  readonly window?: number | undefined;
  /** Told at the end of each window. */
  readonly onWindow: (vitals: Vitals) => void;
}

/** Milliseconds between two looks at the loop. Each is a timer of libuv's own, without any JavaScript. */
const resolution = 50;

/** Watches its thread all the time: forty timers a second without any JavaScript, and one look at them in five. */
export class VitalsMonitor implements Disposable {
  readonly #window: IntervalHistogram = monitorEventLoopDelay({ resolution });
  readonly #ever: IntervalHistogram = monitorEventLoopDelay({ resolution });
  readonly #timer: NodeJS.Timeout;
  #last: Vitals | undefined;

  constructor({ window = vitalsWindow, onWindow }: VitalsMonitorOptions) {
    this.#window.enable();
    this.#ever.enable();
    this.#last = this.#read();
    this.#timer = setInterval(() => {
      const vitals = this.#read();
      this.#last = vitals;
      onWindow(vitals);
    }, window);
    this.#timer.unref();
  }

  /** Those of the last whole window, with the memory of then. */
  get last(): Vitals {
    return (this.#last ??= this.#read());
  }

  close(): void {
    clearInterval(this.#timer);
    this.#window.disable();
    this.#ever.disable();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #read(): Vitals {
    const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
    const delayMaxEver = late(this.#ever.max, this.#ever.count);
    // A histogram does not count the first look after its reset: the longest delay ever, if that is new, is this window's all the same.
    const record = delayMaxEver > (this.#last?.delayMaxEver ?? 0) ? delayMaxEver : 0;
    const vitals = {
      delayP99: late(this.#window.percentile(99), this.#window.count),
      delayMax: Math.max(late(this.#window.max, this.#window.count), record),
      delayP99Ever: late(this.#ever.percentile(99), this.#ever.count),
      delayMaxEver,
      heap: heap + external,
    };
    this.#window.reset();
    return vitals;
  }
}

/** A histogram has the nanoseconds between two looks; an empty one says nonsense. */
function late(nanoseconds: number, count: number): number {
  return count === 0 ? 0 : Math.max(0, nanoseconds / 1e6 - resolution);
}
