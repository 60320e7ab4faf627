import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isIdentifier, parseTaskId, type TaskId } from '../../src/shared/identifiers.ts';
import { bundleFiles } from '../../src/shared/layout.ts';
import { writeFileWhole } from './write-file.ts';

/**
 * The tasks that were ended without their shim, as it did not answer. It still has them, and requests about them may wait
 * in its socket: their ids cannot be used before it has forgotten them or is gone. They are written down in the shim's
 * bundle, since the next thread and the next daemon have to know them as well.
 */
export class Forgetting implements Iterable<TaskId> {
  readonly #file: string;
  readonly #ids: Set<TaskId>;

  /** `bundle` is the shim's. Throws where what is written down there cannot be read. */
  constructor(bundle: string) {
    this.#file = path.join(bundle, bundleFiles.forgetting);
    this.#ids = new Set(read(this.#file));
  }

  get size(): number {
    return this.#ids.size;
  }

  has(task: TaskId): boolean {
    return this.#ids.has(task);
  }

  /** It is known from now on, also where it cannot be written down, of which this throws. */
  add(task: TaskId): void {
    if (this.#ids.has(task)) return;
    this.#ids.add(task);
    appendFileSync(this.#file, `${task}\n`, { mode: 0o600 });
  }

  /** Throws like `add`. */
  delete(task: TaskId): void {
    if (!this.#ids.delete(task)) return;
    if (this.#ids.size === 0) rmSync(this.#file, { force: true });
    else writeFileWhole(this.#file, [...this.#ids].map((id) => `${id}\n`).join(''), 0o600);
  }

  [Symbol.iterator](): Iterator<TaskId> {
    // A copy: whoever goes through them deletes them.
    return [...this.#ids][Symbol.iterator]();
  }
}

function read(file: string): TaskId[] {
  try {
    // What a full disk cut short is another name.
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
    return lines.filter(isIdentifier).map(parseTaskId);
  } catch {
    // There is none, mostly.
    return [];
  }
}
