import type { Socket } from 'node:net';
import { openFifoReader } from '../../shared/host/index.ts';
import { writeAll } from './descriptor-writer.ts';

/** How long an output may stay silent after the process has ended before it is taken for finished, in milliseconds. */
const silenceAfterExit = 1500;

/**
 * Copies one output of a process from its FIFO to one of our own descriptors, in order and at the reader's pace: the
 * process blocks when ours blocks. The FIFO is opened here, before anyone writes, so that nothing is lost.
 */
export class OutputPump {
  readonly #socket: Socket;
  readonly #finished: Promise<void>;
  #lastMove = Date.now();
  #writing = false;
  #failure: unknown;

  /** `onFailure` is told once where the descriptor takes no more (EPIPE); the output is read on and dropped. */
  constructor(fifo: string, descriptor: number, onFailure: (error: unknown) => void) {
    this.#socket = openFifoReader(fifo);
    this.#finished = this.#copy(descriptor, onFailure);
  }

  async #copy(descriptor: number, onFailure: (error: unknown) => void): Promise<void> {
    try {
      for await (const chunk of this.#socket) {
        this.#lastMove = Date.now();
        if (this.#failure !== undefined || !(chunk instanceof Uint8Array)) continue;
        this.#writing = true;
        try {
          await writeAll(descriptor, chunk);
        } catch (error) {
          this.#failure = error;
          onFailure(error);
        }
        this.#writing = false;
        this.#lastMove = Date.now();
      }
    } catch {
      // The reader was closed from our side.
    }
  }

  /**
   * To be called once the process has ended: resolves when everything that it wrote is written. A process that it left
   * behind may hold the FIFO open for ever; so silence counts as the end, unless it is our reader that is slow.
   */
  async drained(): Promise<void> {
    this.#lastMove = Date.now();
    const watch = setInterval(() => {
      if (!this.#writing && Date.now() - this.#lastMove > silenceAfterExit) this.close();
    }, 100);
    await this.#finished;
    clearInterval(watch);
    this.close();
  }

  close(): void {
    this.#socket.destroy();
  }
}
