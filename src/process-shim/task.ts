import { rmSync } from 'node:fs';
import { alreadyExists, failedPrecondition, notFound, TaskError } from '../shared/errors/index.ts';
import type { Logger } from '../shared/log/logger.ts';
import { deadlineIn, until } from '../shared/util/deadline.ts';
import type { CgroupLimits } from './cgroup-limits.ts';
import type { ProcessExit } from './exit-latch.ts';
import { HostProcess } from './host-process.ts';
import { killMembers } from './kill-members.ts';
import type { Membership } from './membership.ts';
import { processStat } from './process-table.ts';
import type { ResourceLimits } from './resource-limits.ts';
import { assertSignal, signalMember, signals } from './signals.ts';
import { type ProcessSpec, parseExecSpec } from './spec.ts';
import type { Stdio } from './stdio.ts';
import type { TaskEvents } from './task-events.ts';
import { type TaskRecord, writeTaskRecord } from './task-record.ts';

/** Who is told of what happens in a task. */
export type TaskListener = Pick<TaskEvents, keyof TaskEvents>;

export interface TaskOptions {
  readonly id: string;
  readonly bundle: string;
  readonly stdio: Stdio;
  readonly spec: ProcessSpec;
  readonly ignoreIsolation: boolean;
  readonly membership: Membership;
  readonly events: TaskListener;
  readonly logger: Logger;
}

/** How long the last processes of a task may take to go after a SIGKILL before the exit of init is told anyway. */
const killBudget = 5_000;

/** A task: its init, its execs and whatever processes these start. */
export class Task {
  readonly id: string;
  readonly bundle: string;
  readonly init: HostProcess;
  readonly #ignoreIsolation: boolean;
  readonly #membership: Membership;
  readonly #events: TaskListener;
  readonly #logger: Logger;
  readonly #execs = new Map<string, HostProcess>();
  #record: TaskRecord | undefined;
  #paused = false;
  /** Init has ended: no exec may start any more. */
  #ending = false;

  constructor(options: TaskOptions) {
    const { id, stdio, spec, ignoreIsolation, membership } = options;
    this.id = id;
    this.bundle = options.bundle;
    this.#ignoreIsolation = ignoreIsolation;
    this.#membership = membership;
    this.#events = options.events;
    this.#logger = options.logger.child({ task: id });
    this.init = new HostProcess({
      id,
      stdio,
      spec,
      ignoreIsolation,
      membership,
      onExit: (_, exit) => void this.#initEnded(exit),
    });
  }

  get paused(): boolean {
    return this.#paused;
  }

  get execs(): Iterable<HostProcess> {
    return this.#execs.values();
  }

  /** Creates init. A failure leaves no process and no cgroup. `announce` is called as soon as it has its pid. */
  async create(announce: (pid: number) => void): Promise<void> {
    try {
      await this.init.create((pid) => {
        const init = { pid, startTime: processStat(pid)?.startTime ?? 0 };
        this.#writeRecord({ init, membership: this.#membership.recorded });
        announce(pid);
      });
    } catch (error) {
      try {
        await killMembers(this.#membership, killBudget);
        await this.#membership.remove();
      } catch (leftover) {
        this.#logger.error('failed create left something', {
          error: String(leftover),
          membership: this.#membership.recorded,
        });
      }
      throw error;
    }
  }

  /** Init where `exec` is empty. Throws NOT_FOUND. */
  process(exec: string): HostProcess {
    if (exec === '') return this.init;
    const process = this.#execs.get(exec);
    if (process === undefined) throw notFound(`process does not exist ${exec}: not found`);
    return process;
  }

  addExec(id: string, stdio: Stdio, spec: string): void {
    if (this.#execs.has(id)) throw alreadyExists(`id ${id}: already exists`);
    if (this.init.state === 'stopped' || this.#ending) throw new TaskError('UNKNOWN', 'cannot exec in a stopped state');
    if (this.#paused) throw new TaskError('UNKNOWN', 'cannot exec in a paused state');
    const process = new HostProcess({
      id,
      stdio,
      spec: parseExecSpec(spec, { ignoreIsolation: this.#ignoreIsolation }),
      ignoreIsolation: this.#ignoreIsolation,
      membership: this.#membership,
      onExit: (ended, exit) => this.#tellExit(ended, exit),
    });
    this.#execs.set(id, process);
    this.#events.execAdded(this.id, id);
  }

  async start(exec: string): Promise<number> {
    const process = this.process(exec);
    if (process === this.init) {
      if (this.#paused) throw new TaskError('UNKNOWN', 'cannot start a paused process');
      await process.start(() => this.#events.started(this.id, process.pid));
      return process.pid;
    }
    this.#assertInitLives();
    if (this.#paused) throw new TaskError('UNKNOWN', 'cannot start a process of a paused task');
    await process.create();
    if (this.#ending) {
      process.abandon();
      this.#assertInitLives();
    }
    await process.start(() => this.#events.execStarted(this.id, process.id, process.pid));
    return process.pid;
  }

  async kill(exec: string, signal: number, all: boolean): Promise<void> {
    const process = this.process(exec);
    assertSignal(signal);
    if (all && process === this.init) {
      if (process.state === 'stopped') throw notFound('process already finished: not found');
      if (signal === signals.SIGKILL) return this.#killAll();
      for (const each of [process, ...this.#execs.values()]) each.expectSignal(signal);
      for (const pid of await this.#membership.pids()) signalMember(pid, signal);
      return;
    }
    process.kill(signal);
    // A frozen process cannot even die.
    if (signal === signals.SIGKILL && this.#paused && process === this.init) await this.#thaw();
  }

  pids(): Promise<readonly number[]> {
    return this.#membership.pids();
  }

  async pause(): Promise<void> {
    this.#assertCan('pause');
    if (this.#paused) throw new TaskError('UNKNOWN', 'cannot pause a paused container');
    await this.#membership.freeze();
    this.#paused = true;
    this.#events.paused(this.id);
  }

  async resume(): Promise<void> {
    this.#assertCan('resume');
    if (!this.#paused) throw new TaskError('UNKNOWN', 'cannot resume a running process');
    await this.#thaw();
    this.#events.resumed(this.id);
  }

  /** Limits what all processes of the task together may use. */
  async update(limits: ResourceLimits): Promise<void> {
    if (this.#ending || this.init.state === 'stopped')
      throw new TaskError('UNKNOWN', 'cannot update a stopped container');
    await this.#membership.update(limits, () => {
      if (this.#record !== undefined) this.#writeRecord({ ...this.#record, membership: this.#membership.recorded });
    });
  }

  /** The cgroups that limit it; undefined where there can be none. */
  get limits(): CgroupLimits | undefined {
    return this.#membership.limits;
  }

  /** Forgets an exec that has ended or never started. */
  async deleteExec(id: string): Promise<HostProcess> {
    const process = this.process(id);
    if (process.state === 'running' || process.state === 'starting' || process.state === 'created') {
      throw new TaskError('UNKNOWN', 'cannot delete a running process');
    }
    await process.release();
    this.#execs.delete(id);
    return process;
  }

  /** Ends a task that has stopped or was never started; returns init's exit. Can be repeated until it succeeds. */
  async delete(): Promise<ProcessExit> {
    if (this.#paused) throw new TaskError('UNKNOWN', 'cannot delete a paused process');
    if (this.init.state === 'running') throw new TaskError('UNKNOWN', 'cannot delete a running process');
    if (this.init.state === 'created') await this.#killAll();
    const exit = await this.init.wait();
    await Promise.all([this.init, ...this.#execs.values()].map((process) => process.release()));
    await this.#membership.remove();
    return exit;
  }

  /** The record is of no use to anybody once the task is deleted. */
  forgetRecord(): void {
    rmSync(`${this.bundle}/process-shim.json`, { force: true });
  }

  async #killAll(): Promise<void> {
    if (this.#paused) {
      for (const pid of await this.#membership.pids()) signalMember(pid, signals.SIGKILL);
      await this.#thaw();
    }
    const left = await killMembers(this.#membership, killBudget);
    if (left.length > 0) this.#logger.warn('processes outlive SIGKILL', { pids: left });
  }

  async #thaw(): Promise<void> {
    await this.#membership.thaw();
    this.#paused = false;
  }

  #assertCan(verb: 'pause' | 'resume'): void {
    switch (this.init.state) {
      case 'running':
        return;
      case 'stopped':
        throw new TaskError('UNKNOWN', `cannot ${verb} a stopped container`);
      default:
        throw new TaskError('UNKNOWN', `cannot ${verb} task in created state`);
    }
  }

  #assertInitLives(): void {
    if (this.#ending || this.init.state === 'stopped') {
      throw failedPrecondition(`container ${this.id} init process is not running: failed precondition`);
    }
  }

  /**
   * Init's exit is the task's last: what is left of its processes is killed first, and the exits of its execs are told
   * before. Nothing else contains them on a host without a pid namespace.
   */
  async #initEnded(exit: ProcessExit): Promise<void> {
    this.#ending = true;
    try {
      if (this.#paused) await this.#thaw();
      await this.#killAll();
      const execs = [...this.#execs.values()].filter((process) => process.isAlive);
      if (execs.length > 0) {
        const ended = Promise.all(execs.map((process) => process.wait()));
        await until(ended, { deadline: deadlineIn(killBudget), doing: 'wait for the execs of an ended task' });
      }
    } catch (error) {
      this.#logger.error('leftover processes could not be killed', { error: String(error) });
    }
    if (this.#record !== undefined) this.#writeRecord({ ...this.#record, exit });
    this.#tellExit(this.init, exit);
  }

  #tellExit(process: HostProcess, exit: ProcessExit): void {
    this.#events.exited(this.id, process.id, process.pid, exit);
    process.finish(exit);
  }

  #writeRecord(record: TaskRecord): void {
    this.#record = record;
    try {
      writeTaskRecord(this.bundle, record);
    } catch (error) {
      this.#logger.warn('record not written', { bundle: this.bundle, error: String(error) });
    }
  }
}
