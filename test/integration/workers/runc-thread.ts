import { afterEach, beforeEach, expect } from 'vitest';
import { parseNamespace, parseShimId, parseTaskId, type TaskRef } from '../../../src/shared/identifiers.ts';
import { sharedShimBundle } from '../../../src/shared/layout.ts';
import type { ExitReport, ShimChoice, Stdio } from '../../../src/shared/messages/index.ts';
import type { Combination } from '../../helpers/runtimes.ts';
import { busyboxSpec } from '../../helpers/spec.ts';
import { uniqueName } from '../../helpers/test-run.ts';
import { TestHost, TestSlot } from './worker-slot.ts';

export const nowhere: Stdio = { stdin: '', stdout: '', stderr: '', terminal: false };
export const runtime = 'io.containerd.runc.v2';
export const namespace = parseNamespace('test');
/** The shim that tasks share where they do. */
export const shared = parseShimId('shared-1');

export function newTask(): TaskRef {
  return { namespace, task: parseTaskId(uniqueName('task')) };
}

/** For each test a worker thread with directories of its own, which makes tasks of runc; nothing of them may be left. */
export class RuncThread {
  readonly #combination: Combination;
  #host: TestHost | undefined;
  #slot: TestSlot | undefined;

  constructor(combination: Combination) {
    this.#combination = combination;
    beforeEach(async () => {
      this.#host = await TestHost.open();
      this.#slot = await TestSlot.open(this.host.settings());
    });
    afterEach(async () => {
      await this.slot.terminate();
      try {
        expect(await this.host.processes()).toEqual([]);
        expect(await this.host.mounts()).toEqual([]);
      } finally {
        await this.host.close();
      }
    });
  }

  get host(): TestHost {
    if (this.#host === undefined) throw new Error('no test runs');
    return this.#host;
  }

  /** A test that ends it has to set another. */
  get slot(): TestSlot {
    if (this.#slot === undefined) throw new Error('no test runs');
    return this.#slot;
  }

  set slot(slot: TestSlot) {
    this.#slot = slot;
  }

  /** The shim for a task. A shared one is started where there is none. */
  async choose(ref: TaskRef, on = this.slot): Promise<ShimChoice> {
    const { placement, generation } = this.#combination;
    const { shim: binary } = generation;
    if (placement === 'per-task') return { kind: 'own', start: { shim: parseShimId(ref.task), binary } };
    try {
      await on.run({ kind: 'start-shim', namespace, start: { shim: shared, binary } });
    } catch (error) {
      if (!String(error).includes('already exists')) throw error;
    }
    return { kind: 'running', shim: shared };
  }

  async create(ref: TaskRef, args: readonly string[], stdio = nowhere): Promise<{ pid: number }> {
    const spec = Buffer.from(JSON.stringify(busyboxSpec({ id: ref.task, args })));
    const choice = await this.choose(ref);
    return this.slot.run({ kind: 'create-task', ...ref, choice, spec, rootfs: [], stdio, checkpoint: '', runtime });
  }

  async stopShared(on = this.slot): Promise<void> {
    const bundle = sharedShimBundle(this.host.directories, namespace, shared);
    if (this.#combination.placement === 'shared') await on.run({ kind: 'stop-shim', namespace, shim: shared, bundle });
  }

  exitsOf(ref: TaskRef, on = this.slot): ExitReport[] {
    return on.reports.filter((report): report is ExitReport => report.kind === 'exit' && report.task === ref.task);
  }
}
