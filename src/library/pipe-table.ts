import type { ProcessPipes } from './process-pipes.ts';

/** The pipes of every process that has some, until they have ended or the process is deleted. */
export class PipeTable {
  readonly #byTask = new Map<string, Map<string, ProcessPipes>>();

  add(task: string, exec: string | undefined, pipes: ProcessPipes): void {
    const ofTask = this.#byTask.get(task) ?? new Map<string, ProcessPipes>();
    this.#byTask.set(task, ofTask.set(exec ?? '', pipes));
    void pipes.ended().finally(() => {
      if (ofTask.get(exec ?? '') === pipes) ofTask.delete(exec ?? '');
      if (ofTask.size === 0 && this.#byTask.get(task) === ofTask) this.#byTask.delete(task);
    });
  }

  /** An exec was deleted, or a task with all its execs. */
  deleted(task: string, exec: string | undefined): void {
    const ofTask = this.#byTask.get(task);
    if (exec === undefined) for (const pipes of ofTask?.values() ?? []) pipes.abandon();
    else ofTask?.get(exec)?.abandon();
  }

  async close(): Promise<void> {
    const all = [...this.#byTask.values()].flatMap((ofTask) => [...ofTask.values()]);
    await Promise.all(all.map((pipes) => pipes.close()));
  }
}
