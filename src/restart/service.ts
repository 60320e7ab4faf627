import { hasCode, TaskError } from '../shared/errors/index.ts';
import type { TaskRef } from '../shared/identifiers.ts';
import type { ProcessSnapshot } from '../shared/messages/index.ts';
import { restartExtension, restartLabels } from '../shared/restart-labels.ts';
import { unreachable } from '../shared/util/unreachable.ts';
import { millisecondsOf } from '../shared/wire/timestamp.ts';
import type { Container } from '../store/index.ts';
import { type AttemptState, type Decision, decide, type Seen } from './decide.ts';
import type { Parts } from './parts.ts';
import { type Attempt, decodeRecord, encodeRecord, type RestartRecord } from './record.ts';
import { removeTask, replaceTask } from './replace-task.ts';
import { type ServiceTrouble, troubleOf } from './trouble.ts';
import { readWish, type Wish } from './wish.ts';

/** What was seen of the task, and since when. */
interface Sight {
  readonly kind: Seen['kind'];
  readonly since: number;
}

/**
 * One container whose labels say what its task shall be. One look at a time; each ends with something done or with the time of
 * the next.
 */
export class Service {
  readonly ref: TaskRef;
  readonly #parts: Parts;
  #createdAt = 0;
  #wish: Wish = { kind: 'none' };
  #record: RestartRecord = {};
  #sight: Sight | undefined;
  #hadTask = false;
  /** This daemon's attempt, by its time. */
  #ownAttempt = 0;
  #heldUntil = 0;
  #stopping = 0;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #timer: NodeJS.Timeout | undefined;
  #trouble: ServiceTrouble | undefined;
  #closed = false;

  constructor(ref: TaskRef, container: Container, parts: Parts) {
    this.ref = ref;
    this.#parts = parts;
    this.#take(container);
  }

  /** The container was changed. */
  update(container: Container): void {
    this.#take(container);
    this.look();
  }

  /** A client is deleting the task: what it does next, such as deleting the container, is not interfered with. */
  hold(): void {
    this.#heldUntil = Date.now() + this.#parts.config.grace;
    clearTimeout(this.#timer);
  }

  /** While a stop of the task is under way, nothing is done. Returns what ends that. */
  beginStop(): () => void {
    this.#stopping += 1;
    return () => {
      this.#stopping -= 1;
      this.look();
    };
  }

  /** Resolves when no look is under way; never rejects. */
  async idle(): Promise<void> {
    while (this.#looking !== undefined) await this.#looking;
  }

  /** The task began to run. */
  started(): void {
    this.#heldUntil = 0;
    this.look();
  }

  /** Compares what is with what shall be. Returns at once, never throws. */
  look(): void {
    if (this.#closed) return;
    if (this.#looking !== undefined) {
      this.#lookAgain = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#looking = this.#look()
      .catch((error: unknown) => {
        if (this.#closed) return;
        const { message } = TaskError.from(error);
        this.#parts.logger.error('service not looked after', { ...this.ref, error: message });
        this.#trouble = { since: this.#trouble?.since ?? Date.now(), reason: `it cannot be looked after: ${message}` };
      })
      .finally(() => {
        this.#looking = undefined;
        if (!this.#lookAgain) return;
        this.#lookAgain = false;
        this.look();
      });
  }

  /** Looks no more. Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /** Undefined where all is well, or nothing is to be done. */
  get trouble(): ServiceTrouble | undefined {
    return this.#trouble;
  }

  #take(container: Container): void {
    this.#createdAt = millisecondsOf(container.createdAt);
    this.#record = decodeRecord(container.extensions[restartExtension]);
    const wish = readWish(container.labels);
    if (wish.kind === 'none' && wish.problem !== undefined) {
      this.#parts.logger.warn('restart label makes no sense', { ...this.ref, label: wish.problem });
    }
    // A new wish is given as long as the old one was to come true by itself.
    if (wish.kind !== this.#wish.kind) this.#sight = undefined;
    this.#wish = wish;
  }

  async #look(): Promise<void> {
    const now = Date.now();
    if (this.#wish.kind === 'none') this.#trouble = undefined;
    if (this.#wish.kind === 'none' || this.#stopping > 0) return;
    if (this.#heldUntil > now) {
      this.#lookAt(this.#heldUntil);
      return;
    }
    const seen = await this.#see();
    if (seen.kind === 'alive') await this.#noteAlive();
    if (this.#closed) return;
    const situation = {
      wish: this.#wish,
      seen,
      attempt: this.#attemptState(),
      createdAt: this.#createdAt,
      now: Date.now(),
    };
    const { config } = this.#parts;
    const decision = decide(situation, config);
    this.#trouble = troubleOf(situation, decision, { config, before: this.#trouble, error: this.#record.error });
    await this.#act(decision, seen);
  }

  async #act(decision: Decision, seen: Seen): Promise<void> {
    switch (decision.kind) {
      case 'leave':
        return;
      case 'wait':
        this.#lookAt(decision.until);
        return;
      case 'start':
        await this.#restart(decision, seen);
        return;
      case 'stop':
        this.#parts.logger.info('service stopped', { ...this.ref });
        await removeTask(this.#parts, this.ref);
        return;
      default:
        unreachable(decision);
    }
  }

  #lookAt(time: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => this.look(), Math.max(1, Math.min(time - Date.now(), 0x7fff_ffff)));
  }

  async #see(): Promise<Seen> {
    let view: ProcessSnapshot;
    try {
      view = await this.#parts.tasks.get(this.ref, { signal: this.#parts.signal });
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND')) throw error;
      if (this.#parts.tasks.isBeingMade(this.ref)) return { kind: 'unsure' };
      return { kind: 'none', since: this.#since('none'), hadOne: this.#hadTask };
    }
    this.#hadTask = true;
    switch (view.status) {
      case 'running':
      case 'paused':
      case 'pausing':
        return { kind: 'alive', since: this.#since('alive') };
      case 'created':
        return { kind: 'created', since: this.#since('created') };
      case 'unknown':
        return { kind: 'unsure' };
      case 'stopped': {
        const { exit } = view;
        // Stopped without an exit: it never ran.
        if (exit === undefined) return { kind: 'created', since: this.#since('created') };
        return { kind: 'ended', pid: exit.pid, status: exit.status, at: millisecondsOf(exit.exitedAt) };
      }
      default:
        return unreachable(view.status);
    }
  }

  #since(kind: Seen['kind']): number {
    if (this.#sight?.kind !== kind) this.#sight = { kind, since: Date.now() };
    return this.#sight.since;
  }

  #attemptState(): AttemptState {
    const { attempt } = this.#record;
    if (attempt === undefined) return { kind: 'closed' };
    if (!attempt.open) return { kind: 'closed', last: attempt };
    return { kind: this.#ownAttempt === attempt.at ? 'failed' : 'cut-off', last: attempt };
  }

  /** It runs: whatever attempt there was came to a good end, and how the task was made is worth knowing. */
  async #noteAlive(): Promise<void> {
    const { attempt, launch } = this.#record;
    const isOpen = attempt?.open === true;
    if (this.#wish.kind !== 'running' || this.#wish.policy.kind === 'no' || (!isOpen && launch !== undefined)) return;
    const made = launch ?? (await this.#launch());
    await this.#write({
      ...(made === undefined ? {} : { launch: made }),
      ...(attempt === undefined ? {} : { attempt: { ...attempt, open: false } }),
    });
  }

  async #launch(): Promise<RestartRecord['launch']> {
    const found = await this.#parts.tasks.launchOf(this.ref);
    if (found === undefined) return this.#record.launch;
    const { stdio, ...launch } = found;
    return { ...launch, stdout: stdio.stdout, stderr: stdio.stderr, terminal: stdio.terminal };
  }

  async #restart(decision: Extract<Decision, { kind: 'start' }>, seen: Seen): Promise<void> {
    const { store, logger } = this.#parts;
    const launch = seen.kind === 'none' ? this.#record.launch : await this.#launch();
    const attempt: Attempt = {
      at: Date.now(),
      row: decision.row,
      replaces: seen.kind === 'ended' ? seen.pid : 0,
      open: true,
    };
    this.#ownAttempt = attempt.at;
    const made = launch === undefined ? {} : { launch };
    const { error: earlier } = this.#record;
    const record: RestartRecord = { ...made, attempt, ...(earlier === undefined ? {} : { error: earlier }) };
    const container =
      (await this.#write(record, decision.counts ? 1 : 0)) ?? store.containers.find(this.ref.namespace, this.ref.task);
    const wish = this.#wish;
    if (container === undefined || wish.kind !== 'running' || this.#closed) return;
    const fields = { ...this.ref, policy: wish.policy.kind, count: wish.count, row: attempt.row };
    try {
      const { pid } = await replaceTask(this.#parts, this.ref, { container, launch, log: wish.log });
      await this.#write({ ...made, attempt: { ...attempt, open: false } });
      logger.info('service restarted', { ...fields, pid });
    } catch (error) {
      const { message } = TaskError.from(error);
      if (!this.#closed) logger.warn('restart failed', { ...fields, error: message });
      await this.#write({ ...record, error: message.slice(0, 1000) });
    }
    // What the new task does meanwhile is seen by the next look, which also sets the time of the next try.
    this.#lookAgain = true;
  }

  /**
   * Writes down what is known, and `more` restarts. A full disk keeps no service down: what cannot be written is kept in
   * memory. Undefined where the container is gone or was not written.
   */
  async #write(record: RestartRecord, more = 0): Promise<Container | undefined> {
    const { store, changed, logger, ended } = this.#parts;
    const { namespace, task } = this.ref;
    // The next daemon finds it half done.
    if (ended.aborted) return undefined;
    try {
      const container = await store.containers.update(namespace, task, (current) => {
        const count = readWish(current.labels);
        const labels =
          more === 0 || count.kind !== 'running'
            ? current.labels
            : { ...current.labels, [restartLabels.count]: String(count.count + more) };
        return {
          ...current,
          labels,
          extensions: { ...current.extensions, [restartExtension]: encodeRecord(record) },
        };
      });
      changed(this.ref, container);
      return container;
    } catch (error) {
      this.#record = record;
      if (this.#wish.kind === 'running') this.#wish = { ...this.#wish, count: this.#wish.count + more };
      if (!hasCode(error, 'NOT_FOUND')) {
        logger.error('restart not written down', { ...this.ref, error: TaskError.from(error).message });
      }
      return undefined;
    }
  }
}
