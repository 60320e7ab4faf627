import { builtEntry } from './entry.ts';
import { Thread } from './thread.ts';

/**
 * Threads that load the worker entry before a pool is opened that takes them: loading takes a thread as long as the daemon
 * takes its own modules, and the two go on side by side.
 */
export class EarlyThreads implements AsyncDisposable {
  readonly #threads: Thread[];

  constructor(count: number) {
    this.#threads = Array.from({ length: count }, () => new Thread(builtEntry));
  }

  /** One that nobody has taken. It may have ended meanwhile, which it tells whoever listens to it. */
  take(): Thread | undefined {
    return this.#threads.shift();
  }

  /** Ends those that nobody took. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((thread) => thread.stop('nobody needed it')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
