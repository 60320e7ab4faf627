import { TaskError } from '../shared/errors/index.ts';
import type { ComponentHealth, Finding } from '../shared/health.ts';
import type { Logger } from '../shared/log/logger.ts';

export interface HealthBoardOptions {
  readonly logger: Logger;
  /** Milliseconds between two looks that nobody asked for. Default 5,000; a fifth of it while somebody watches. */
  readonly every?: number;
}

/** A part of the daemon that tells how its components are. Quick: it asks nobody. */
export type HealthSource = () => readonly Finding[];

/** What else says when these go wrong, in lines of its own. */
const loggedElsewhere = /^(?:slot|shim)s?(?:\/|$)/;

/**
 * How every component is, put together of what the parts say when they are asked. It remembers since when, and looks by itself
 * too, so that this is right to some seconds where a part knows only the present.
 */
export class HealthBoard implements Disposable {
  readonly #options: HealthBoardOptions;
  readonly #sources: HealthSource[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #began = Date.now();
  #known = new Map<string, ComponentHealth>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HealthBoardOptions) {
    this.#options = options;
    this.#schedule();
  }

  add(source: HealthSource): void {
    this.#sources.push(source);
  }

  /** Every component as it is now, in the order of their sources. */
  components(): readonly ComponentHealth[] {
    const now = Date.now();
    const found = this.#sources.flatMap((source) => findingsOf(source));
    const components = found.map((finding) => this.#healthOf(finding, now));
    const changed = components.filter((one) => (this.#known.get(one.component)?.state ?? 'ok') !== one.state);
    this.#known = new Map(components.map((one) => [one.component, one]));
    for (const { component, state, reason } of changed) {
      if (loggedElsewhere.test(component)) continue;
      if (state === 'ok') this.#options.logger.info('component well again', { component });
      else this.#options.logger.warn('component not well', { component, state, reason });
    }
    return components;
  }

  /** Calls `listener` after each look while it is registered, about once a second; returns what ends that. */
  onLook(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.#schedule();
    return () => {
      this.#listeners.delete(listener);
      this.#schedule();
    };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #healthOf({ component, trouble }: Finding, now: number): ComponentHealth {
    const before = this.#known.get(component);
    const was = before?.state ?? 'ok';
    // What was ok from the start was so since then.
    const already = before?.since ?? this.#began;
    if (trouble === undefined) return { component, state: 'ok', since: was === 'ok' ? already : now, reason: '' };
    const { state, reason, since = was === 'ok' ? now : already } = trouble;
    return { component, state, since, reason };
  }

  #schedule(): void {
    const { every = 5000 } = this.#options;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#look(), this.#listeners.size > 0 ? every / 5 : every);
    this.#timer.unref();
  }

  #look(): void {
    this.components();
    for (const listener of this.#listeners) listener();
  }
}

function findingsOf(source: HealthSource): readonly Finding[] {
  try {
    return source();
  } catch (error) {
    return [{ component: 'health', trouble: { state: 'degraded', reason: TaskError.from(error).message } }];
  }
}
