import type { Envelope, Interest, Subscription } from '../../../src/events/index.ts';
import { decodeEvent } from '../../../src/events/index.ts';
import {
  type ExecId,
  type ProcessRef,
  parseExecId,
  parseNamespace,
  parseShimId,
  parseTaskId,
  type TaskRef,
} from '../../../src/shared/identifiers.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import type { Operation, ShimInfo } from '../../../src/shared/messages/index.ts';
import type { ExitStore, Owed, StoredExit } from '../../../src/store/exit-store.ts';
import type { EventSink } from '../../../src/supervisor/recovered-events.ts';
import type { Registry } from '../../../src/supervisor/registry.ts';
import { Shim } from '../../../src/supervisor/shim.ts';
import { unknownSpec } from '../../../src/supervisor/spec-facts.ts';
import { Task } from '../../../src/supervisor/task.ts';
import { TaskProcess } from '../../../src/supervisor/task-process.ts';
import type { TaskSlot } from '../../../src/supervisor/task-slot.ts';

export const namespace = parseNamespace('n');
export const refOf = (task: string): TaskRef => ({ namespace, task: parseTaskId(task) });
export const execOf = (task: string, exec: string): ProcessRef & { exec: ExecId } => ({
  ...refOf(task),
  exec: parseExecId(exec),
});
export const noStdio = { stdin: '', stdout: '', stderr: '', terminal: false };

/** An exit store in memory, by the rules of the real one. */
export class MemoryExits implements ExitStore {
  readonly kept = new Map<string, { process: ProcessRef; exit: StoredExit }>();
  readonly #key = ({ namespace: ns, task, exec }: ProcessRef) => `${ns}/${task}/${exec ?? ''}`;

  put(process: ProcessRef, exit: StoredExit): 'stored' | 'kept' {
    const known = this.get(process);
    if (known !== undefined && (known.source !== 'made-up' || exit.source === 'made-up')) return 'kept';
    this.kept.set(this.#key(process), { process, exit });
    return 'stored';
  }
  get(process: ProcessRef): StoredExit | undefined {
    return this.kept.get(this.#key(process))?.exit;
  }
  setOwed(process: ProcessRef, owed: Owed | undefined): void {
    const known = this.get(process);
    if (known !== undefined) this.kept.set(this.#key(process), { process, exit: { ...known, owed } });
  }
  removeTask(task: TaskRef): void {
    for (const key of this.kept.keys()) if (key.startsWith(`${task.namespace}/${task.task}/`)) this.kept.delete(key);
  }
  removeExec(process: ProcessRef): void {
    this.kept.delete(this.#key(process));
  }
  list() {
    return this.kept.values();
  }
}

/** An exchange that writes down what is published, as `exit a/x 5`. */
export class RecordedEvents implements EventSink, Subscription {
  readonly seen: string[] = [];
  listening = true;
  cursor = 0;
  #listener: ((subscription: Subscription) => void) | undefined;

  record(): void {
    this.cursor += 1;
  }
  publish(envelope: Envelope): void {
    this.record();
    this.deliver(envelope);
  }
  interest(): Interest {
    return 'own';
  }
  deliver({ topic, event }: Envelope): void {
    const fields: Record<string, unknown> = { ...decodeEvent(event) };
    const text = (name: string) => (typeof fields[name] === 'string' ? fields[name] : '');
    const process = text('execId') || (text('id') === text('containerId') ? '' : text('id'));
    const name = `${text('containerId')}${process === '' ? '' : `/${process}`}`;
    const status = topic === '/tasks/exit' ? ` ${Number(fields['exitStatus'] ?? 0)}` : '';
    this.seen.push(`${topic.replace('/tasks/', '')} ${name}${status}`);
  }
  subscriptions(): Iterable<Subscription> {
    return this.listening ? [this] : [];
  }
  onSubscribe(listener: (subscription: Subscription) => void): () => void {
    this.#listener = listener;
    return () => {
      this.#listener = undefined;
    };
  }
  subscribe(): void {
    this.listening = true;
    this.#listener?.(this);
  }
}

/** A slot whose answers the test gives. */
export function fakeSlot(
  id: number,
  answer: (operation: Operation) => unknown,
): TaskSlot & { readonly asked: Operation[] } {
  const asked: Operation[] = [];
  return {
    id,
    state: { kind: 'ready', threadId: id },
    operations: 0,
    losses: 0,
    trouble: undefined,
    asked,
    restart: () => Promise.resolve(),
    run: <Reply>(operation: Operation) => {
      asked.push(operation);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the test answers what the kind asks for
      return Promise.resolve().then(() => answer(operation) as Reply);
    },
  };
}

export function shimInfo(id: string, mode: ShimInfo['mode'] = 'shared'): ShimInfo {
  return {
    namespace,
    id: parseShimId(id),
    mode,
    binary: '/bin/containerd-shim-runc-v2',
    pid: 1,
    address: 'unix:///x',
    protocol: 'ttrpc',
    apiVersion: 3,
  };
}

export function addTask(
  registry: Registry,
  id: string,
  options: {
    readonly pid?: number;
    readonly ownsPidNamespace?: boolean;
    readonly running?: boolean;
    readonly madeAt?: number;
  } = {},
): Task {
  const { pid = 10, ownsPidNamespace = true, running = false, madeAt = 0 } = options;
  const shim = new Shim({
    namespace,
    id: parseShimId(id),
    mode: 'per-task',
    binary: '/bin/containerd-shim-runc-v2',
    bundle: '/b',
    slot: fakeSlot(0, () => undefined),
    state: { kind: 'live', info: shimInfo(id, 'per-task') },
    logger: silentLogger,
  });
  const ref = refOf(id);
  const init = new TaskProcess(ref, noStdio, { kind: running ? 'running' : 'created', pid }, silentLogger);
  const task = new Task({
    ref,
    runtime: 'r',
    bundle: '/b',
    facts: { ...unknownSpec, ownsPidNamespace },
    init,
    shim,
    madeAt,
  });
  registry.reserve(ref).commit(task);
  return task;
}

export function addExec(task: Task, id: string, pid: number): TaskProcess {
  const ref = { ...task.ref, exec: parseExecId(id) };
  const process = new TaskProcess(
    ref,
    noStdio,
    pid > 0 ? { kind: 'running', pid } : { kind: 'created', pid: 0 },
    silentLogger,
  );
  task.execs.set(ref.exec, process);
  return process;
}
