import type { Task, TaskProcess } from '../task.ts';
import { appendProcess } from './bundle.ts';

/** Frees the name of an exec that its shim does not have. Never throws: adoption asks the shim for it, which says so. */
export function forgetExec(task: Task, process: TaskProcess): void {
  if (task.processes.get(process.exec) === process) task.processes.delete(process.exec);
  try {
    appendProcess(task.bundle, { ...process.record, deleted: true });
  } catch {
    // A full disk.
  }
}
