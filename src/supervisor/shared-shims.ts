import { hasCode, TaskError } from '../shared/errors/index.ts';
import type { Namespace } from '../shared/identifiers.ts';
import { type Directories, sharedShimBundle } from '../shared/layout.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { Deadlines } from '../shared/messages/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import { insist } from '../shared/util/insist.ts';
import type { Any } from '../shared/wire/any.ts';
import { newShimId } from './new-shim-id.ts';
import type { PlacementConfig } from './placement-config.ts';
import type { Registry } from './registry.ts';
import { type SharingGroup, SharingGroups, type ShimStart } from './sharing-groups.ts';
import { Shim, type ShimState } from './shim.ts';
import type { TaskSlot } from './task-slot.ts';

/** Tasks with the same key can be in one shim. */
export interface SharingKey {
  readonly namespace: Namespace;
  readonly binary: string;
  /** Runtime options that are the shim's own, and their identity. */
  readonly options?: Any | undefined;
  readonly cgroup: string;
}

export interface SharedShimsOptions {
  readonly config: PlacementConfig;
  readonly registry: Registry;
  readonly directories: Directories;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  /** The slot for a new shim. */
  readonly chooseSlot: () => TaskSlot;
  /** How many there are. */
  readonly slots: () => number;
}

/** Creates under way in a shim that are a crowd: one more shim takes its share of the next ones. */
const crowd = 6;
/** Until an empty shim that could not be stopped is stopped again, in milliseconds: at first, and at most. */
const firstRetry = 1000;
const longestRetry = 60_000;
/** Share of one shim's places that are kept free in all of a key's together. */
const reserve = 0.1;

/** A place for one task in a shared shim, taken before Create. `release` gives it back after the create, whatever came of it. */
export interface Place {
  readonly shim: Shim;
  release(): void;
}

/** The shims that hold many tasks: starts them, fills the least loaded first, ends them when empty. */
export class SharedShims {
  readonly #options: SharedShimsOptions;
  readonly #groups = new SharingGroups();
  /** Places taken by creates under way. */
  readonly #claims = new Map<Shim, number>();
  readonly #idle = new Map<Shim, NodeJS.Timeout>();
  readonly #stops = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(options: SharedShimsOptions) {
    this.#options = options;
  }

  /**
   * A place in the least loaded shim of the key with room; where there is none, in one that is being started or, where
   * those are full too, in a new one. Throws what the start throws, DEADLINE_EXCEEDED, CANCELLED.
   */
  async acquire(
    key: SharingKey,
    limit: { readonly deadline: number; readonly signal?: AbortSignal | undefined },
  ): Promise<Place> {
    const group = this.#groups.get(JSON.stringify([key.namespace, key.binary, key.cgroup]));
    const shim = this.#withRoom(group);
    if (shim !== undefined) {
      const place = this.#claim(shim);
      this.#startAhead(key, group);
      return place;
    }
    const { tasksPerShim } = this.#options.config;
    const start =
      [...group.starting].find((candidate) => candidate.claims < tasksPerShim) ?? this.#startOne(key, group);
    start.claims += 1;
    const started = await until(start.promise, { ...limit, doing: `starting a shim of ${key.binary}` }).catch(
      (error: unknown) => {
        start.claims -= 1;
        this.#settleOnceStarted(start.promise);
        throw error;
      },
    );
    const place = this.#claim(started);
    this.#startAhead(key, group);
    return place;
  }

  #startOne(key: SharingKey, group: SharingGroup): ShimStart {
    const start: ShimStart = { promise: this.#start(key, group), claims: 0 };
    this.#groups.addStart(group, start);
    return start;
  }

  /**
   * Starts a shim before a create has to wait for it: where creates crowd in those there are (one shim does one at a time),
   * up to one shim for each slot, and where little room is left in all of them. One that nobody needed ends after its grace.
   */
  #startAhead(key: SharingKey, group: SharingGroup): void {
    if (this.#closing.signal.aborted || group.starting.size > 0) return;
    const { config, slots } = this.#options;
    const open = [...group.shims].filter((shim) => this.#isOpen(shim));
    const creates = open.reduce((sum, shim) => sum + (this.#claims.get(shim) ?? 0), 0);
    const room = open.reduce((sum, shim) => sum + Math.max(0, config.tasksPerShim - this.#load(shim)), 0);
    const crowded = open.length < slots() && creates >= crowd * open.length;
    const full = room < Math.floor(config.tasksPerShim * reserve);
    if (!crowded && !full) return;
    this.#settleOnceStarted(this.#startOne(key, group).promise);
  }

  /** A shim that nobody may need when it is there ends after its grace. */
  #settleOnceStarted(start: Promise<Shim>): void {
    start
      .then((shim) => this.settle(shim))
      // Whoever started it is told, and the next create that needs one tries again.
      .catch(() => undefined);
  }

  /** To be called when a task left the shim: ends it in time where it is empty. */
  settle(shim: Shim): void {
    if (this.#closing.signal.aborted || shim.mode !== 'shared') return;
    if (shim.state.kind === 'gone') {
      this.forget(shim);
      return;
    }
    const { kind } = shim.state;
    if (this.#load(shim) > 0 || (kind !== 'live' && kind !== 'silent') || this.#idle.has(shim)) return;
    this.#stopAfter(shim, this.#takesMore(shim) ? this.#options.config.idleGrace : 0, firstRetry);
  }

  /** `retry`: milliseconds until it is tried again where it fails. */
  #stopAfter(shim: Shim, pause: number, retry: number): void {
    const timer = setTimeout(() => {
      this.#idle.delete(shim);
      this.#begin(this.#stop(shim, retry));
    }, pause);
    timer.unref();
    this.#idle.set(shim, timer);
  }

  /** Keeps what is being stopped until it is. */
  #begin(stopping: Promise<void>): void {
    const stop = stopping.finally(() => this.#stops.delete(stop));
    this.#stops.add(stop);
  }

  /** The shim is gone: nothing is placed in it any more. */
  forget(shim: Shim): void {
    clearTimeout(this.#idle.get(shim));
    this.#idle.delete(shim);
    this.#groups.remove(shim);
  }

  /** Ends the shims that are empty, whatever is left of their grace; resolves when they have ended or will not. */
  async endIdle(): Promise<void> {
    for (const [shim, timer] of this.#idle) {
      clearTimeout(timer);
      this.#begin(this.#stop(shim, firstRetry));
    }
    this.#idle.clear();
    await Promise.allSettled(this.#stops);
  }

  /** Ends no shim; those that are being stopped are left to finish. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const timer of this.#idle.values()) clearTimeout(timer);
    this.#idle.clear();
    await Promise.allSettled(this.#stops);
  }

  #withRoom(group: SharingGroup): Shim | undefined {
    let best: Shim | undefined;
    for (const shim of group.shims) {
      if (!this.#isOpen(shim)) continue;
      if (this.#load(shim) >= this.#options.config.tasksPerShim) continue;
      if (best === undefined || this.#load(shim) < this.#load(best)) best = shim;
    }
    return best;
  }

  /** It answers and is not on its way out. */
  #isOpen(shim: Shim): boolean {
    return shim.state.kind === 'live' && shim.overdue === 0 && this.#takesMore(shim);
  }

  #load(shim: Shim): number {
    return shim.tasks.size + (this.#claims.get(shim) ?? 0);
  }

  #takesMore(shim: Shim): boolean {
    return this.#groups.has(shim) && !shim.retired && shim.lifetimeTasks < this.#options.config.maxTasksPerShimLife;
  }

  #claim(shim: Shim): Place {
    clearTimeout(this.#idle.get(shim));
    this.#idle.delete(shim);
    this.#claims.set(shim, (this.#claims.get(shim) ?? 0) + 1);
    shim.lifetimeTasks += 1;
    let released = false;
    return {
      shim,
      release: () => {
        if (released) return;
        released = true;
        const left = (this.#claims.get(shim) ?? 1) - 1;
        if (left === 0) this.#claims.delete(shim);
        else this.#claims.set(shim, left);
        this.settle(shim);
      },
    };
  }

  async #start(key: SharingKey, group: SharingGroup): Promise<Shim> {
    const { directories, deadlines, registry, logger } = this.#options;
    const slot = this.#options.chooseSlot();
    const id = newShimId();
    const shim = new Shim({
      namespace: key.namespace,
      id,
      mode: 'shared',
      binary: key.binary,
      bundle: sharedShimBundle(directories, key.namespace, id),
      slot,
      state: { kind: 'starting' },
      logger,
    });
    registry.addShim(shim);
    try {
      const info = await slot.run({
        kind: 'start-shim',
        deadline: deadlineIn(deadlines.start),
        namespace: key.namespace,
        start: { shim: id, binary: key.binary, ...(key.options === undefined ? {} : { options: key.options }) },
      });
      this.#groups.add(group, shim);
      shim.set({ kind: 'live', info });
      return shim;
    } catch (error) {
      const failure = TaskError.from(error);
      shim.set({ kind: 'gone', reason: failure.message });
      registry.removeShim(shim);
      // A thread that was lost in the middle may have left a running shim and its directory.
      if (hasCode(failure, 'UNAVAILABLE', 'DEADLINE_EXCEEDED')) this.#begin(this.#removeHalfStarted(shim));
      throw failure;
    }
  }

  async #removeHalfStarted(shim: Shim): Promise<void> {
    const { deadlines, logger } = this.#options;
    const { namespace, id, bundle, slot } = shim;
    const ref = { namespace, shim: id, bundle };
    const budget = () => deadlineIn(deadlines.load + deadlines.shutdown + deadlines.cleanup);
    try {
      await insist(this.#closing.signal, async () => {
        // So that one that answers is asked to end, and not killed.
        await slot.run({ kind: 'adopt-shim', deadline: budget(), ...ref, mode: 'shared', tasks: [] });
        await slot.run({ kind: 'stop-shim', deadline: budget(), ...ref });
      });
    } catch (error) {
      // Left for the next start of the daemon, which adopts it and finds it empty.
      logger.warn('half-started shim not removed', { namespace, shim: id, error: TaskError.from(error).message });
    }
  }

  /** Ends an empty shim. One that got a task meanwhile stays; one that will not end, or has something left, is tried again. */
  async #stop(shim: Shim, retry: number): Promise<void> {
    const { state } = shim;
    if (this.#closing.signal.aborted || this.#load(shim) > 0 || (state.kind !== 'live' && state.kind !== 'silent'))
      return;
    const { deadlines, logger, registry } = this.#options;
    const { namespace, id, bundle } = shim;
    shim.set({ kind: 'stopping' });
    try {
      const deadline = deadlineIn(deadlines.shutdown + deadlines.cleanup);
      await shim.slot.run({ kind: 'stop-shim', deadline, namespace, shim: id, bundle });
      shim.set({ kind: 'gone', reason: 'it was stopped' });
      this.forget(shim);
      registry.removeShim(shim);
    } catch (error) {
      logger.warn('empty shim not stopped', { namespace, shim: id, error: TaskError.from(error).message });
      // `stopping` ended meanwhile where the shim or its thread was lost; then others say what becomes of it.
      const now: ShimState = shim.state;
      if (now.kind !== 'stopping') return;
      // Its thread may have got half way: nothing is placed in it, unless it is in use and was left alone.
      const { message } = TaskError.from(error);
      shim.set(hasCode(error, 'FAILED_PRECONDITION') ? state : { kind: 'silent', reason: message });
      if (!this.#closing.signal.aborted && this.#load(shim) === 0 && !this.#idle.has(shim)) {
        this.#stopAfter(shim, retry, Math.min(retry * 2, longestRetry));
      }
    }
  }
}
