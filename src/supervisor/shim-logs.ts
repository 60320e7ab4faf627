import { setTimeout as delay } from 'node:timers/promises';
import { failedPrecondition, hasCode, notFound, TaskError } from '../shared/errors/index.ts';
import { type Namespace, parseShimId, parseTaskId, type ShimId } from '../shared/identifiers.ts';
import { taskBundle } from '../shared/layout.ts';
import type { ShimLogPart, ShimLogStart } from '../shared/messages/index.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import type { Context } from './context.ts';
import type { CallOptions } from './options.ts';
import type { Shim } from './shim.ts';
import type { TaskSlot } from './task-slot.ts';

export interface ShimLogRequest {
  /** Of what is there at the beginning: at most so many lines, and at most so many bytes. All that is kept where absent. */
  readonly lines?: number | undefined;
  readonly bytes?: number | undefined;
  /** Goes on with what the shim writes, until its log is removed with its bundle. */
  readonly follow: boolean;
}

/** A part of a log, with the shim that wrote it. */
export interface ShimLogView {
  readonly shim: ShimId;
  readonly content: Uint8Array;
  /** What was right before this part is not kept any more. */
  readonly dropped: boolean;
}

/** Whose log is read, and by which slot. */
interface Source {
  readonly slot: TaskSlot;
  readonly shim: ShimId;
  readonly bundle: string;
}

/** Logs read at once: each takes one of its slot's operations, which tasks need too. */
const maxReaders = 64;
/** Milliseconds that a slot waits for more before it is asked again. */
const patience = 5000;
/** Milliseconds before a thread that was lost is asked again; its slot has a back-off of its own. */
const retryPause = 100;

/**
 * The logs that shims write in their bundles. Each reader pulls: a part is read when the one before it was taken, so a slow
 * reader costs one part of memory, and is told where the log was shortened before it came there.
 */
export class ShimLogs {
  readonly #context: Context;
  #readers = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  /**
   * `id` is a task's, for the log of its shim, or a shim's. Throws NOT_FOUND where there is neither, or no log;
   * FAILED_PRECONDITION where the shim is somebody else's, or what has the log's name is no file; RESOURCE_EXHAUSTED where
   * too many are read; CANCELLED when the signal is aborted.
   */
  async *read(
    namespace: Namespace,
    id: string,
    request: ShimLogRequest,
    call: CallOptions = {},
  ): AsyncGenerator<ShimLogView, void, undefined> {
    const source = this.#source(namespace, id);
    if (this.#readers >= maxReaders) {
      throw new TaskError('RESOURCE_EXHAUSTED', `${maxReaders} logs of shims are being read: end one of them first`);
    }
    this.#readers += 1;
    try {
      yield* this.#parts(namespace, source, request, call);
    } finally {
      this.#readers -= 1;
    }
  }

  async *#parts(
    namespace: Namespace,
    source: Source,
    { lines, bytes, follow }: ShimLogRequest,
    { signal }: CallOptions,
  ): AsyncGenerator<ShimLogView, void, undefined> {
    const { shim } = source;
    let from: ShimLogStart = { kind: 'tail', lines, bytes };
    /** Without `follow` it ends where the log ended when it began. */
    let end: number | undefined;
    for (;;) {
      const part = await this.#next(namespace, source, from, {
        patience: follow && end !== undefined ? patience : 0,
        signal,
      });
      // The bundle is gone, and its log with it.
      if (part === undefined) return;
      end ??= part.end;
      if (part.content.length > 0) yield { shim, content: part.content, dropped: part.dropped };
      if (part.removed || (!follow && part.next.offset >= end)) return;
      from = { kind: 'at', place: part.next };
    }
  }

  async #next(
    namespace: Namespace,
    { slot, shim, bundle }: Source,
    from: ShimLogStart,
    wait: { readonly patience: number; readonly signal: AbortSignal | undefined },
  ): Promise<ShimLogPart | undefined> {
    const { deadlines } = this.#context;
    for (;;) {
      const deadline = deadlineIn(wait.patience + deadlines.call);
      const doing = `reading the log of shim ${shim}`;
      const operation = {
        kind: 'read-shim-log',
        deadline,
        namespace,
        shim,
        bundle,
        from,
        patience: wait.patience,
      } as const;
      try {
        return await until(slot.run(operation), { deadline, doing, signal: wait.signal });
      } catch (error) {
        const lost = hasCode(error, 'UNAVAILABLE') && slot.state.kind !== 'closed';
        if (lost) await delay(retryPause, undefined, { signal: wait.signal });
        else if (!hasCode(error, 'NOT_FOUND')) throw error;
        else if (from.kind === 'at') return undefined;
        else
          throw notFound(`shim ${shim} in namespace ${namespace} keeps no log: there is none in ${bundle}: not found`);
      }
    }
  }

  #source(namespace: Namespace, id: string): Source {
    const ref = { namespace, task: parseTaskId(id) };
    const { registry, directories, placement } = this.#context;
    const task = registry.findTask(ref);
    const shim = task === undefined ? registry.findShim(namespace, parseShimId(id)) : task.shim;
    if (shim !== undefined) return this.#sourceOf(shim);
    if (task !== undefined) throw notFound(`the shim of task ${id} is gone, and its log with it: not found`);
    if (registry.isReserved(ref)) {
      // A create that takes long is when its shim's log is wanted.
      const shared = registry.shims().find((one) => one.namespace === namespace && one.creating.has(ref.task));
      if (shared !== undefined) return this.#sourceOf(shared);
      const bundle = taskBundle(directories, namespace, ref.task);
      return { slot: placement.chooseSlot(), shim: parseShimId(id), bundle };
    }
    throw notFound(`no task and no shim ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}: not found`);
  }

  #sourceOf(shim: Shim): Source {
    const { id, mode, slot, bundle, namespace, info } = shim;
    if (mode === 'joined') {
      const where = info === undefined ? '' : `, at ${info.address}`;
      throw failedPrecondition(
        `the shim of task ${id} is somebody else's${where}: who started it has its log: failed precondition`,
      );
    }
    // Of a group of tasks the first one's bundle has the log of the shim that they share.
    const holder =
      mode === 'per-task' && info !== undefined && info.pid === 0
        ? this.#context.registry
            .shims()
            .find((one) => one.namespace === namespace && one.info?.address === info.address && one.info.pid > 0)
        : undefined;
    return holder === undefined
      ? { slot, shim: id, bundle }
      : { slot: holder.slot, shim: holder.id, bundle: holder.bundle };
  }
}
