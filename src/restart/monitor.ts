import { setImmediate } from 'node:timers/promises';
import { decodeEvent, type Envelope } from '../events/index.ts';
import { TaskError } from '../shared/errors/index.ts';
import type { Finding } from '../shared/health.ts';
import type { TaskId, TaskRef } from '../shared/identifiers.ts';
import type { Exit } from '../shared/messages/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import type { Container } from '../store/index.ts';
import type { Parts } from './parts.ts';
import { Service } from './service.ts';
import { type StopOptions, stopTask } from './stop-task.ts';
import { Turns } from './turns.ts';
import { isService } from './wish.ts';

/** Containers that are read at a time, and services that are looked at: between them others get their turn. */
const pageSize = 64;
/** Services in trouble that are told by name. */
const mostNamed = 5;
/** How long restarts under way may take to end when the monitor closes; the next daemon finishes the others. */
const closePatience = 4_000;

/**
 * Keeps the tasks of containers with restart labels in the state that the labels ask for. It learns of changes from the store
 * and of starts and ends from events, and compares everything once an interval, whatever it was told.
 */
export class RestartMonitor {
  readonly #parts: Parts;
  readonly #services = new Map<string, Service>();
  readonly #closing = new AbortController();
  readonly #ended = new AbortController();
  readonly #forget: () => void;
  #round: Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  /** Why the containers could not be read at the start: some services are not known. */
  #unread: string | undefined;

  /** Looks at every container there is, in the background, and goes on until it is closed. */
  constructor(options: Omit<Parts, 'turns' | 'signal' | 'ended'>) {
    this.#parts = {
      ...options,
      turns: new Turns(options.config.parallel),
      signal: this.#closing.signal,
      ended: this.#ended.signal,
    };
    this.#forget = options.store.containers.onChange((namespace, id, container) =>
      this.#changed({ namespace, task: id }, container),
    );
    this.#round = this.#begin();
  }

  /** A published event, also one that is no task's. Cheap where there are no services. */
  notice({ namespace, topic, event }: Envelope): void {
    if (this.#services.size === 0 || (topic !== '/tasks/exit' && topic !== '/tasks/start')) return;
    const fields = decodeEvent(event);
    const container = fields === undefined ? undefined : textOf(fields, 'containerId');
    // Only of an init is the id the container's.
    if (container === undefined || (topic === '/tasks/exit' && textOf(fields, 'id') !== container)) return;
    const service = this.#services.get(`${namespace}/${container}`);
    if (topic === '/tasks/start') service?.started();
    else service?.look();
  }

  /** A client deletes this task itself. */
  hold(task: TaskRef): void {
    this.#services.get(keyOf(task))?.hold();
  }

  /** Ends a task and keeps it ended; see `stop-task.ts`. */
  async stop(task: TaskRef, how: StopOptions): Promise<Exit | undefined> {
    const service = this.#services.get(keyOf(task));
    const release = service?.beginStop();
    try {
      return await stopTask(this.#parts, task, how, () => service?.idle());
    } finally {
      release?.();
    }
  }

  /** Degraded while services do not run that shall: which, and why. */
  health(): Finding {
    const component = 'restart-monitor';
    if (this.#unread !== undefined) {
      const reason = `not all services are known, as the containers could not be read: ${this.#unread}`;
      return { component, trouble: { state: 'failed', reason } };
    }
    const troubled = [...this.#services.values()].flatMap(({ ref, trouble }) =>
      trouble === undefined ? [] : [{ name: keyOf(ref), ...trouble }],
    );
    if (troubled.length === 0) return { component };
    const named = troubled.slice(0, mostNamed).map(({ name, reason }) => `${name}: ${reason}`);
    const more = troubled.length > mostNamed ? [`and ${troubled.length - mostNamed} more`] : [];
    const count = `${troubled.length} of ${this.#services.size} services do not run as they shall`;
    const since = Math.min(...troubled.map((one) => one.since));
    return { component, trouble: { state: 'degraded', since, reason: [count, ...named, ...more].join('; ') } };
  }

  /** Begins nothing more; resolves when what was begun is done, and within a few seconds. */
  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    this.#forget();
    const services = [...this.#services.values()].map((service) => service.close());
    const all = Promise.all([this.#round, ...services]);
    await until(all, { deadline: deadlineIn(closePatience), doing: 'closing the restart monitor' }).catch(
      () => undefined,
    );
    this.#ended.abort();
  }

  async #begin(): Promise<void> {
    const { store, logger } = this.#parts;
    try {
      for (const { name } of store.namespaces.list()) {
        let after: TaskId | undefined;
        for (let more = true; more && !this.#closing.signal.aborted; ) {
          const page = store.containers.page(name, { after, limit: pageSize });
          for (const container of page) this.#changed({ namespace: name, task: container.id }, container);
          after = page.at(-1)?.id;
          more = page.length === pageSize;
          await setImmediate();
        }
      }
    } catch (error) {
      this.#unread = TaskError.from(error).message;
      logger.error('services not read', { error: this.#unread });
    }
    this.#next();
  }

  #next(): void {
    if (this.#closing.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#round = this.#lookAtAll().finally(() => this.#next());
    }, this.#parts.config.interval);
  }

  /** Starts the looks and waits for none: one that takes long is not begun a second time. */
  async #lookAtAll(): Promise<void> {
    let begun = 0;
    for (const service of this.#services.values()) {
      if (this.#closing.signal.aborted) return;
      service.look();
      begun += 1;
      if (begun % pageSize === 0) await setImmediate();
    }
  }

  #changed(ref: TaskRef, container: Container | undefined): void {
    const key = keyOf(ref);
    const known = this.#services.get(key);
    if (container === undefined || !isService(container.labels)) {
      if (known === undefined) return;
      this.#services.delete(key);
      known.close().catch(() => undefined);
      return;
    }
    if (known !== undefined) {
      known.update(container);
      return;
    }
    const service = new Service(ref, container, this.#parts);
    this.#services.set(key, service);
    service.look();
  }
}

function keyOf({ namespace, task }: TaskRef): string {
  return `${namespace}/${task}`;
}

function textOf(fields: object | undefined, name: string): string | undefined {
  const value: unknown = fields === undefined ? undefined : Reflect.get(fields, name);
  return typeof value === 'string' ? value : undefined;
}
