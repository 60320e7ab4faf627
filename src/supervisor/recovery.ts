import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseTaskRecord, type TaskRecord } from '../shared/bundle-records.ts';
import { TaskError } from '../shared/errors/index.ts';
import {
  isIdentifier,
  type Namespace,
  parseNamespace,
  parseShimId,
  parseTaskId,
  type TaskId,
  type TaskRef,
} from '../shared/identifiers.ts';
import { bundleFiles, sharedShimsDirectory, shimHome, taskBundle } from '../shared/layout.ts';
import { isForOneTask } from '../shared/placement-mode.ts';
import { deadlineIn } from '../shared/util/deadline.ts';
import { unreachable } from '../shared/util/unreachable.ts';
import { adoptAll } from './adoption.ts';
import type { Context } from './context.ts';
import { directoriesIn } from './directories.ts';
import { findExec } from './find-exec.ts';
import { rememberLost } from './lost-to-reboot.ts';
import { kindOfOddBundle } from './odd-bundle.ts';
import { findSandboxes, rememberEndedSandboxes } from './sandboxes/recover.ts';
import { Shim } from './shim.ts';
import { type SpecFacts, specFacts, unknownSpec } from './spec-facts.ts';
import { Task } from './task.ts';
import { noStdio, TaskProcess } from './task-process.ts';
import type { TaskSlot } from './task-slot.ts';
import { recordUntold } from './untold-exits.ts';

/**
 * Takes over what runs from what is on disk, then what the store knows of tasks that have no bundle any more. One bad
 * bundle or shim is logged and stops nothing.
 */
export async function recover(
  context: Context,
  options: {
    readonly chooseSlot: (group?: string) => TaskSlot;
    /** Every task that has a bundle is in the registry, and none is adopted. */
    readonly onFound: () => void;
  },
): Promise<void> {
  const recovery = new Recovery(context, options);
  await recovery.run();
}

class Recovery {
  readonly #context: Context;
  readonly #chooseSlot: (group?: string) => TaskSlot;
  readonly #onFound: () => void;

  constructor(context: Context, { chooseSlot, onFound }: Parameters<typeof recover>[1]) {
    this.#context = context;
    this.#chooseSlot = chooseSlot;
    this.#onFound = onFound;
  }

  async run(): Promise<void> {
    const { directories, registry, events, logger } = this.#context;
    events.recovering = true;
    try {
      await this.#guard({}, async () => recordUntold(this.#context));
      const namespaces = await directoriesIn(directories.state);
      await Promise.all(
        namespaces
          .filter(isIdentifier)
          .map((name) => this.#guard({ namespace: name }, () => this.#scan(parseNamespace(name)))),
      );
      this.#onFound();
      await adoptAll(this.#context, registry.shims());
      await this.#guard({}, () => rememberLost(this.#context, this.#chooseSlot));
      this.#rememberEnded();
      rememberEndedSandboxes(this.#context);
      logger.info('tasks recovered', { shims: registry.shims().length, tasks: [...registry.tasks()].length });
    } finally {
      events.recovered(new Set([...registry.tasks()].map(({ ref }) => ref.namespace)));
    }
  }

  async #scan(namespace: Namespace): Promise<void> {
    const { directories } = this.#context;
    const names = await directoriesIn(path.join(directories.state, namespace));
    const shared = names.includes(sharedShimsDirectory)
      ? await directoriesIn(path.join(directories.state, namespace, sharedShimsDirectory))
      : [];
    await findSandboxes(this.#context, namespace, {
      chooseSlot: this.#chooseSlot,
      guard: (ids, work) => this.#guard(ids, work),
    });
    for (const name of shared.filter(isIdentifier)) {
      const found = { shim: parseShimId(name), mode: 'shared', binary: '' } as const;
      this.#sharedShim({ namespace, task: parseTaskId(name) }, found);
    }
    await Promise.all(
      names
        .filter(isIdentifier)
        .map((name) => this.#guard({ namespace, task: name }, () => this.#bundle(namespace, parseTaskId(name)))),
    );
  }

  async #bundle(namespace: Namespace, task: TaskId): Promise<void> {
    const ref: TaskRef = { namespace, task };
    const bundle = taskBundle(this.#context.directories, namespace, task);
    const text = readSmall(path.join(bundle, bundleFiles.task))?.toString('utf8');
    const found = text === undefined ? undefined : parseTaskRecord(text);
    const record =
      found?.namespace === namespace && found.task === task ? found : await this.#withoutRecord(ref, bundle);
    if (record === undefined) return;
    if (record === 'bad')
      throw new Error(`${bundleFiles.task} is no record of this task, and no shim was started here`);
    const facts = this.#factsOf(bundle);
    this.#task(ref, bundle, record, facts);
  }

  #task(ref: TaskRef, bundle: string, record: TaskRecord, facts: SpecFacts): void {
    const { events, exits, logger, registry } = this.#context;
    const shim = isForOneTask(record.mode) ? this.#ownShim(ref, bundle, record, facts) : this.#sharedShim(ref, record);
    const exit = exits.get(ref);
    const init = new TaskProcess(
      ref,
      record.stdio,
      exit === undefined ? { kind: 'unknown', pid: 0 } : { kind: 'stopped', exit },
      logger,
    );
    const reservation = registry.reserve(ref);
    reservation.commit(
      new Task({ ref, runtime: record.runtime, bundle, facts, init, shim, madeAt: writtenAt(bundle) }),
    );
    if (exit?.owed) events.owed(init, exit, exit.owed);
  }

  #ownShim(ref: TaskRef, bundle: string, record: TaskRecord, facts: SpecFacts): Shim {
    const { logger, registry } = this.#context;
    const shim = new Shim({
      namespace: ref.namespace,
      id: record.shim,
      mode: record.mode,
      binary: record.binary,
      bundle,
      slot: this.#chooseSlot(facts.group === undefined ? undefined : `${ref.namespace}/${facts.group}`),
      state: { kind: 'adopting' },
      logger,
    });
    registry.addShim(shim);
    return shim;
  }

  /** One for many tasks, of which this is the first that is found; a sandbox's where its own bundle is gone. */
  #sharedShim(ref: TaskRef, { shim: id, mode, binary }: Pick<TaskRecord, 'shim' | 'mode' | 'binary'>): Shim {
    const { directories, logger, registry } = this.#context;
    const { namespace } = ref;
    const known = registry.findShim(namespace, id);
    if (known !== undefined) return known;
    const shim = new Shim({
      namespace,
      id,
      mode,
      binary,
      bundle: shimHome(directories, { ...ref, shim: id, mode }),
      slot: this.#chooseSlot(),
      state: { kind: 'adopting' },
      logger,
    });
    registry.addShim(shim);
    return shim;
  }

  #factsOf(bundle: string): SpecFacts {
    try {
      return specFacts(readFileSync(path.join(bundle, bundleFiles.config)));
    } catch {
      return unknownSpec;
    }
  }

  /** A bundle of an older version has no record: what it would say. Undefined where the bundle was dealt with. */
  async #withoutRecord(ref: TaskRef, bundle: string): Promise<TaskRecord | 'bad' | undefined> {
    const kind = await kindOfOddBundle(bundle);
    switch (kind) {
      case 'older':
        return { ...ref, shim: parseShimId(ref.task), mode: 'per-task', binary: '', runtime: '', stdio: noStdio };
      case 'half-made':
        await this.#removeHalfMade(ref, bundle);
        return undefined;
      case 'foreign':
        if (readSmall(path.join(bundle, bundleFiles.task)) !== undefined) return 'bad';
        this.#context.logger.warn('foreign directory left alone', { ...ref, directory: bundle });
        return undefined;
      default:
        return unreachable(kind);
    }
  }

  /** A create was cut off before it wrote down what it makes: the worker ends and removes what there is. */
  async #removeHalfMade(ref: TaskRef, bundle: string): Promise<void> {
    const { deadlines, logger } = this.#context;
    const budget = () => deadlineIn(deadlines.load + 2 * deadlines.cleanup);
    const slot = this.#chooseSlot();
    const shim = parseShimId(ref.task);
    const reply = await slot.run({
      kind: 'adopt-shim',
      deadline: budget(),
      namespace: ref.namespace,
      shim,
      mode: 'per-task',
      bundle,
      tasks: [ref],
    });
    if (reply.tasks.some((task) => task.kind === 'live'))
      await slot.run({ kind: 'destroy-task', deadline: budget(), ...ref });
    logger.info('half-made bundle removed', { ...ref });
  }

  /** Ended tasks that nobody deleted and whose bundles are gone, with their shim or with a reboot. */
  #rememberEnded(): void {
    const { directories, events, exits, logger, registry } = this.#context;
    // A task's own is before those of its execs.
    for (const { process: ref, exit } of exits.list()) {
      const known = registry.findTask(ref);
      if (ref.exec !== undefined) {
        if (known !== undefined && known.shim === undefined) findExec(this.#context, known, ref.exec, noStdio);
        continue;
      }
      if (known !== undefined || registry.isReserved(ref)) continue;
      const task: TaskRef = { namespace: ref.namespace, task: ref.task };
      const init = new TaskProcess(task, noStdio, { kind: 'stopped', exit }, logger);
      const bundle = taskBundle(directories, ref.namespace, ref.task);
      registry
        .reserve(task)
        .commit(new Task({ ref: task, runtime: '', bundle, facts: unknownSpec, init, shim: undefined }));
      if (exit.owed) events.owed(init, exit, exit.owed);
    }
  }

  async #guard(ids: Readonly<Record<string, string>>, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#context.logger.error('not recovered', { ...ids, error: TaskError.from(error).message });
    }
  }
}

/** When a task's record was written, just before its create; 0 where there is none. */
function writtenAt(bundle: string): number {
  return statSync(path.join(bundle, bundleFiles.task), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Undefined where it cannot be read. Synchronous: nobody is served yet, and a file of a tmpfs is read in no time. */
function readSmall(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
