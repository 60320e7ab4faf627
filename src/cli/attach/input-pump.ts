import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isErrnoException } from '../../shared/errors/index.ts';
import { openFifoForChild, openFifoWriter } from '../../shared/host/index.ts';

/** How long the shim may take to open its end after the process was started, in milliseconds. */
const shimPatience = 10_000;

/**
 * Copies our standard input to a process through its FIFO. From the start both ends are held open, so that the shim's
 * own open never blocks; the copy begins when the process runs.
 */
export class InputPump {
  readonly #fifo: string;
  readonly #stop = new AbortController();
  #keeper: number | undefined;

  constructor(fifo: string) {
    this.#fifo = fifo;
    this.#keeper = openFifoForChild(fifo);
  }

  /**
   * Copies until the input ends, the process reads no more, or `stop`. Resolves with true where all of the input was
   * passed on, so that the process may be told that it has ended.
   */
  async copy(input: Readable): Promise<boolean> {
    const writer = await this.#openWriter();
    if (writer === undefined) return false;
    try {
      await pipeline(input, writer, { signal: this.#stop.signal });
      return true;
    } catch {
      return false;
    } finally {
      writer.destroy();
    }
  }

  /** Nothing is written before a reader other than ourselves is there: bytes in a FIFO that nobody has open are lost. */
  async #openWriter(): Promise<Socket | undefined> {
    this.#releaseKeeper();
    const { signal } = this.#stop;
    for (const end = Date.now() + shimPatience; !signal.aborted && Date.now() < end; ) {
      try {
        return openFifoWriter(this.#fifo);
      } catch (error) {
        if (!isErrnoException(error) || error.code !== 'ENXIO') return undefined;
        await sleep(5);
      }
    }
    return undefined;
  }

  /** Ends the copy; idempotent. */
  stop(): void {
    this.#stop.abort();
    this.#releaseKeeper();
  }

  #releaseKeeper(): void {
    if (this.#keeper === undefined) return;
    closeSync(this.#keeper);
    this.#keeper = undefined;
  }
}
