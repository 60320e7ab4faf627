import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { deadlineExceeded } from '../../shared/errors/index.ts';
import { eventsDefinition } from '../../shared/grpc/index.ts';
import type { Namespace } from '../../shared/identifiers.ts';
import { containerd } from '../../shared/proto/gen/events.js';
import { type Deferred, deferred } from '../../shared/util/deferred.ts';
import { wireAny } from '../../shared/wire/any.ts';
import type { Daemon } from '../client/daemon.ts';
import { oneLine } from '../failure.ts';

const exitTopic = '/tasks/exit';
const openBudget = 15_000;
const askEvery = 100;

/** Told of the exit of a task's first process. */
export type OnExit = (task: string, status: number) => void;

/**
 * The daemon's exit events of one namespace. The stream shows neither when it begins nor what is still under way; both
 * are found out by publishing an event of our own and waiting for it: the daemon keeps the order.
 */
export class ExitStream {
  readonly #daemon: Daemon;
  readonly #namespace: Namespace;
  /** Nobody else publishes here. */
  readonly #topic = `/load/${randomBytes(6).toString('hex')}`;
  readonly #ended = new AbortController();
  readonly #fences = new Map<string, Deferred<void>>();
  #made = 0;
  #reading: Promise<void> = Promise.resolve();
  #failure: unknown;

  private constructor(daemon: Daemon, namespace: Namespace) {
    this.#daemon = daemon;
    this.#namespace = namespace;
  }

  /** Why exits are missed from now on; undefined while none is. */
  get failure(): string | undefined {
    return this.#failure === undefined ? undefined : oneLine(this.#failure);
  }

  /** Resolves when no exit from now on is missed. Throws what the daemon says, DEADLINE_EXCEEDED after 15 s. */
  static async open(daemon: Daemon, namespace: Namespace, onExit: OnExit): Promise<ExitStream> {
    const stream = new ExitStream(daemon, namespace);
    stream.#reading = stream.#read(onExit);
    try {
      await stream.fence(openBudget);
      return stream;
    } catch (error) {
      await stream.close();
      throw error;
    }
  }

  /**
   * Resolves when everything that was published before the call has been read. Throws why the stream has ended, where it
   * has: exits may be missing then.
   */
  async fence(budget: number): Promise<void> {
    this.#made += 1;
    const topic = `${this.#topic}/${this.#made}`;
    const passed = deferred<void>();
    passed.promise.catch(() => undefined);
    this.#fences.set(topic, passed);
    const end = Date.now() + budget;
    try {
      // Again and again: what is published before the subscription is up reaches nobody.
      while (this.#fences.has(topic)) {
        if (this.#failure !== undefined) throw this.#failure;
        if (Date.now() > end) {
          throw deadlineExceeded(`the event stream did not come up to date within ${budget} ms: deadline exceeded`);
        }
        const event = wireAny({ typeUrl: 'google.protobuf.Empty', value: new Uint8Array() });
        await this.#daemon.call(eventsDefinition.publish, this.#namespace, { topic, event }, { timeout: budget });
        await Promise.race([passed.promise, sleep(askEvery)]);
      }
    } finally {
      this.#fences.delete(topic);
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#ended.abort();
    await this.#reading;
  }

  async #read(onExit: OnExit): Promise<void> {
    const namespace = this.#namespace;
    const ours = `namespace==${namespace}`;
    const filters = [`${ours},topic=="${exitTopic}"`, `${ours},topic~="^${this.#topic}/"`];
    const { signal } = this.#ended;
    try {
      for await (const envelope of this.#daemon.stream(eventsDefinition.subscribe, namespace, { filters }, signal)) {
        if (envelope.topic !== exitTopic) this.#pass(envelope.topic);
        else {
          const exit = containerd.events.TaskExit.decode(envelope.event?.value ?? new Uint8Array());
          if (exit.id === exit.containerId) onExit(exit.containerId, exit.exitStatus);
        }
      }
      this.#failure = new Error('the event stream ended');
    } catch (error) {
      this.#failure = error;
    }
    for (const fence of this.#fences.values()) fence.reject(this.#failure);
  }

  #pass(topic: string): void {
    this.#fences.get(topic)?.resolve();
    this.#fences.delete(topic);
  }
}
