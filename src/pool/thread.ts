import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type {
  Operation,
  OperationKind,
  OperationOf,
  Order,
  Outcome,
  Report,
  WorkerSettings,
} from '../shared/messages/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';

/** Objects that go over to the thread instead of being copied. */
export type Transfer = readonly (ArrayBuffer | MessagePort)[];

/** Who is told what a thread reports, and that it is gone. */
export interface ThreadListener {
  readonly report: (report: Report) => void;
  readonly end: (reason: string) => void;
}

/** How long a thread may take to end by itself when it is told to; one that hangs does not. In milliseconds. */
const orderBudget = 500;
const stopBudget = 5000;

/**
 * One thread from its start to its end: a Piscina that holds nothing else, and the port that its reports come on.
 * It tells its listener its end once, with the first reason; it is never used again after that.
 */
export class Thread {
  readonly startedAt = Date.now();
  readonly #piscina: Piscina<Operation, Outcome<OperationKind>>;
  readonly #worker: Worker | undefined;
  #listener: ThreadListener | undefined;
  #reports: MessagePort | undefined;
  /** Why it ended. */
  #endReason: string | undefined;
  /** Why it was told to end. */
  #orderedFor: string | undefined;
  #gone: Promise<void> = Promise.resolve();

  constructor(entry: URL) {
    this.#piscina = new Piscina({
      filename: entry.href,
      minThreads: 1,
      maxThreads: 1,
      // An idle thread has to keep its event loop: sockets and exits come in on it.
      atomics: 'disabled',
      concurrentTasksPerWorker: 1_000_000,
      idleTimeout: Number.POSITIVE_INFINITY,
      maxQueue: 0,
      recordTiming: false,
    });
    this.#piscina.on('error', (error: unknown) => this.#noteEnd(`uncaught: ${messageOf(error)}`));
    this.#worker = this.#piscina.threads[0];
    // Before Piscina's own listeners, which start a thread in the place of a lost one at once and without a port.
    this.#worker?.prependListener('error', (error: unknown) => this.#noteEnd(`uncaught: ${messageOf(error)}`));
    this.#worker?.prependListener('exit', (code: number) => {
      this.#noteEnd(this.#orderedFor ?? `the thread exited with code ${code}`);
    });
  }

  /** From here on `listener` is told what happens to the thread; soon, where it has ended already. */
  listen(listener: ThreadListener): void {
    this.#listener = listener;
    const end = this.#endReason;
    if (end !== undefined) queueMicrotask(() => listener.end(end));
  }

  /** Gives the thread its settings and a fresh report port. Throws what the entry throws. */
  async attach(settings: WorkerSettings, deadline: number): Promise<number> {
    const { port1, port2 } = new MessageChannel();
    this.#reports = port1;
    port1.on('message', (report: Report) => this.#listener?.report(report));
    port1.on('close', () => {
      // Every message comes before this; asking a closed port for more crashes the process.
      this.#reports = undefined;
      // A thread that died closes it too, and its own end says more.
      setTimeout(() => this.#noteEnd('the report port closed'), 50).unref();
    });
    port1.unref();
    const outcome = await until(this.run<'attach'>({ kind: 'attach', deadline, port: port2, settings }, [port2]), {
      deadline,
      doing: `attaching the thread of slot ${settings.slot}`,
    });
    if (!outcome.ok) throw new Error(outcome.error.message);
    return outcome.reply.threadId;
  }

  /** Rejects with whatever Piscina rejects with; a lost thread is told to the listener before that. */
  run<K extends OperationKind>(operation: OperationOf<K>, transfer: Transfer = []): Promise<Outcome<K>> {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the entry answers each kind with its own outcome
    return this.#piscina.run(operation, { transferList: [...transfer] }) as Promise<Outcome<K>>;
  }

  /**
   * Ends the thread; one that is blocked in JavaScript too. Resolves when it is gone, or after 5 s. A thread is told to end
   * first: where it is ended from outside while it loads a native addon, Node ends the whole process.
   */
  async stop(reason: string): Promise<void> {
    const worker = this.#worker;
    if (this.#endReason === undefined && this.#reports !== undefined && worker !== undefined) {
      this.#orderedFor = reason;
      const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
      const order: Order = { kind: 'stop' };
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a MessagePort has one other end, not an origin
      this.#reports.postMessage(order);
      await until(exited, { deadline: deadlineIn(orderBudget), doing: 'stopping a thread' }).catch(() => undefined);
    }
    this.#noteEnd(reason);
    await until(this.#gone, { deadline: deadlineIn(stopBudget), doing: 'stopping a thread' }).catch(() => undefined);
  }

  #noteEnd(reason: string): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    this.#drainReports();
    const worker = this.#worker;
    this.#gone =
      worker === undefined || worker.threadId === -1
        ? Promise.resolve()
        : new Promise((resolve) => worker.once('exit', () => resolve()));
    // Its promise never settles where the exit is being told right now.
    this.#piscina.destroy().catch(() => undefined);
    this.#reports?.close();
    this.#listener?.end(reason);
  }

  /** The exit of a thread can be told before the last reports that it sent. */
  #drainReports(): void {
    if (this.#reports === undefined) return;
    let next: { readonly message: Report } | undefined;
    do {
      next = receiveMessageOnPort(this.#reports);
      if (next !== undefined) this.#listener?.report(next.message);
    } while (next !== undefined);
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
