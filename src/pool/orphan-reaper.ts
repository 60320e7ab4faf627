import { readdir, readFile } from 'node:fs/promises';
import { TaskError } from '../shared/errors/index.ts';
import { reapChild } from '../shared/host/index.ts';
import type { Logger } from '../shared/log/logger.ts';

export interface OrphanReaperOptions {
  readonly logger: Logger;
  /** Milliseconds between two looks. Default 5 000. */
  readonly every?: number | undefined;
  /** Looks after each lost thread: longer than the longest action of a shim runs. Default 12. */
  readonly looks?: number | undefined;
}

/**
 * Reaps what a lost thread started: the programs it waited for become children of a process in which nobody waits for
 * them, and stay zombies. A living thread reaps its own at once, so only what is seen ended in two looks is an orphan;
 * taking another's would lose that one's exit.
 */
export class OrphanReaper {
  readonly #logger: Logger;
  readonly #every: number;
  readonly #looks: number;
  #left = 0;
  #timer: NodeJS.Timeout | undefined;
  #seen = new Set<string>();

  constructor(options: OrphanReaperOptions) {
    this.#logger = options.logger;
    this.#every = options.every ?? 5000;
    this.#looks = options.looks ?? 12;
  }

  /** A thread was lost: looks for its children for a while. */
  threadLost(): void {
    this.#left = this.#looks;
    this.#schedule();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#left = 0;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#left === 0) return;
    this.#timer = setTimeout(() => {
      this.#look()
        .catch((error: unknown) => {
          this.#logger.warn('orphans not looked for', { error: TaskError.from(error).message });
        })
        .finally(() => {
          this.#timer = undefined;
          this.#left = Math.max(0, this.#left - 1);
          this.#schedule();
        });
    }, this.#every);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const ended = await endedChildren();
    const seen = new Set<string>();
    for (const { pid, identity } of ended) {
      if (this.#seen.has(identity)) this.#logger.info('orphan reaped', { pid, reaped: reapChild(pid) });
      else seen.add(identity);
    }
    this.#seen = seen;
  }
}

/** The zombies among this process's children; a pid and its start time say which process it is. */
async function endedChildren(): Promise<{ readonly pid: number; readonly identity: string }[]> {
  const found: { pid: number; identity: string }[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    // The name of the program stands in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' && Number(fields[1]) === process.pid) {
      found.push({ pid: Number(name), identity: `${name}:${fields[19]}` });
    }
  }
  return found;
}
