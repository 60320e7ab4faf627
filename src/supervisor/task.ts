import type { ExecId, TaskRef } from '../shared/identifiers.ts';
import type { Exit } from '../shared/messages/index.ts';
import type { Shim } from './shim.ts';
import type { SpecFacts } from './spec-facts.ts';
import type { TaskProcess } from './task-process.ts';

/** One task: its init, its execs, and the shim that has it. */
export class Task {
  readonly ref: TaskRef;
  /** As the client wrote it; of a bundle of an older version the shim's binary, once that is known. */
  runtime: string;
  readonly bundle: string;
  readonly facts: SpecFacts;
  readonly init: TaskProcess;
  /** When its create began, or earlier, in milliseconds since 1970: what happened before is not this task's. */
  readonly madeAt: number;
  readonly execs = new Map<ExecId, TaskProcess>();
  /** Undefined once the shim is gone and what it left is removed: only its exits are left. */
  shim: Shim | undefined;
  /** A forced delete under way; a second caller joins it. It does not join an ordinary one, which may hang. */
  destruction: Promise<Exit> | undefined;
  /** The removal of its bundle after its shim is gone: its id is not free before. Never rejects. */
  removal: Promise<void> | undefined;
  /** It is being deleted: nobody needs what its bundle tells. */
  isLeaving = false;

  constructor(options: {
    readonly ref: TaskRef;
    readonly runtime: string;
    readonly bundle: string;
    readonly facts: SpecFacts;
    readonly init: TaskProcess;
    readonly shim: Shim | undefined;
    /** Default 0: not known. */
    readonly madeAt?: number;
  }) {
    this.ref = options.ref;
    this.runtime = options.runtime;
    this.bundle = options.bundle;
    this.facts = options.facts;
    this.init = options.init;
    this.shim = options.shim;
    this.madeAt = options.madeAt ?? 0;
    this.shim?.tasks.add(this);
  }

  process(exec: ExecId | undefined): TaskProcess | undefined {
    return exec === undefined ? this.init : this.execs.get(exec);
  }

  /** Init first. */
  processes(): TaskProcess[] {
    return [this.init, ...this.execs.values()];
  }

  /** Takes the task out of its shim's list. */
  leaveShim(): void {
    this.shim?.tasks.delete(this);
    this.shim = undefined;
  }
}
