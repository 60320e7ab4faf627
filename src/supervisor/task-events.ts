import {
  type Envelope,
  type TopicEvent,
  taskCheckpointedEvent,
  taskCreateEvent,
  taskDeleteEvent,
  taskExecAddedEvent,
  taskExecStartedEvent,
  taskExitEvent,
  taskOomEvent,
  taskPausedEvent,
  taskResumedEvent,
  taskStartEvent,
} from '../events/index.ts';
import { TaskError } from '../shared/errors/index.ts';
import type { Namespace, ProcessRef, TaskRef } from '../shared/identifiers.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { Exit, Mount } from '../shared/messages/index.ts';
import { timestampNow } from '../shared/wire/timestamp.ts';
import type { Owed } from '../store/exit-store.ts';
import { type EventSink, type OwedEvent, RecoveredEvents } from './recovered-events.ts';
import type { Task } from './task.ts';
import type { TaskProcess } from './task-process.ts';

type NoteOwed = (process: ProcessRef, owed: Owed | undefined) => void;

/** Namespaces whose clients may be on their way back to a daemon that was restarted. */
interface Returning {
  readonly namespaces: ReadonlySet<Namespace>;
  /** On the clock of `performance.now`. */
  readonly until: number;
}

/**
 * The events of tasks, made here and not by shims: their order per process is that of these calls, and each happens
 * once. No call throws or waits.
 */
export class TaskEvents {
  readonly #sink: EventSink;
  readonly #logger: Logger;
  readonly #recovered: RecoveredEvents;
  readonly #noteOwed: NoteOwed;
  /** True while the daemon starts: what is found then happened before anybody could listen. */
  recovering = false;
  #returning: Returning | undefined;

  /** `noteOwed` is called with whom an exit that `owes` was said of is still owed to, when that changes. */
  constructor(sink: EventSink, logger: Logger, noteOwed: NoteOwed = () => undefined) {
    this.#sink = sink;
    this.#logger = logger;
    this.#recovered = new RecoveredEvents(sink);
    this.#noteOwed = noteOwed;
  }

  /** The daemon has started, with tasks in these namespaces: their clients may need `patience` milliseconds to come back. */
  recovered(namespaces: Iterable<Namespace>, patience = 60_000): void {
    this.recovering = false;
    this.#returning = { namespaces: new Set(namespaces), until: performance.now() + patience };
  }

  /** Whether the client of this namespace may be away, so that an exit is owed to it until it was told. */
  owes({ namespace }: TaskRef): boolean {
    if (this.recovering) return true;
    if (this.#returning !== undefined && performance.now() > this.#returning.until) this.#returning = undefined;
    return this.#returning?.namespaces.has(namespace) ?? false;
  }

  created(task: Task, request: { readonly rootfs: readonly Mount[]; readonly checkpoint: string }): void {
    const { bundle, init } = task;
    this.#publish(
      task.ref,
      taskCreateEvent({ containerId: task.ref.task, bundle, io: init.stdio, pid: init.pid, ...request }),
    );
  }

  started(process: TaskProcess, pid: number): void {
    const { task, exec } = process.ref;
    const event =
      exec === undefined
        ? taskStartEvent({ containerId: task, pid })
        : taskExecStartedEvent({ containerId: task, execId: exec, pid });
    this.#publish(process.ref, event);
  }

  exited(process: TaskProcess, exit: Exit): void {
    const { ref } = process;
    const envelope = this.#exitEnvelope(ref, exit);
    if (!this.owes(ref)) {
      this.pass(envelope);
      return;
    }
    const event = this.#owedEvent(ref, envelope);
    if (this.recovering) {
      this.#recovered.add(event);
      return;
    }
    this.pass(envelope);
    this.#recovered.published(event);
  }

  /** Cursor of the latest event; undefined where none is kept. */
  get cursor(): number | undefined {
    return this.#sink.cursor;
  }

  /** Records the event of an exit for whoever reads on from a cursor; nobody is handed it. */
  record(ref: ProcessRef, exit: Exit): void {
    this.#sink.record(this.#exitEnvelope(ref, exit));
  }

  /** An exit that an earlier daemon stored, and whose client it has not told. */
  owed(process: TaskProcess, exit: Exit, to: Owed): void {
    this.#recovered.again(this.#owedEvent(process.ref, this.#exitEnvelope(process.ref, exit)), to === 'client');
  }

  #owedEvent(ref: ProcessRef, envelope: Envelope): OwedEvent {
    return {
      owner: ownerOf(ref),
      envelope,
      onHeard: () => this.#noteOwed(ref, 'client'),
      onTold: () => this.#noteOwed(ref, undefined),
    };
  }

  /** Of an init; the delete of an exec has no event. */
  deleted(task: Task, exit: Exit): void {
    this.#publish(task.ref, taskDeleteEvent({ ...this.#exitFields(task.ref, exit), id: '' }));
  }

  execAdded(process: TaskProcess): void {
    this.#publish(process.ref, taskExecAddedEvent({ containerId: process.ref.task, execId: process.ref.exec ?? '' }));
  }

  paused(ref: TaskRef): void {
    this.#publish(ref, taskPausedEvent({ containerId: ref.task }));
  }

  resumed(ref: TaskRef): void {
    this.#publish(ref, taskResumedEvent({ containerId: ref.task }));
  }

  checkpointed(ref: TaskRef, path: string): void {
    this.#publish(ref, taskCheckpointedEvent({ containerId: ref.task, checkpoint: path }));
  }

  oom(ref: TaskRef): void {
    this.#publish(ref, taskOomEvent({ containerId: ref.task }));
  }

  /** Passes on an event of somebody else. */
  pass(envelope: Envelope): void {
    try {
      this.#sink.publish(envelope);
    } catch (error) {
      this.#logger.warn('event refused', {
        topic: envelope.topic,
        namespace: envelope.namespace,
        error: TaskError.from(error).message,
      });
    }
  }

  /** Events that are kept for clients who are away. */
  get held(): number {
    return this.#recovered.size;
  }

  /** Publishes what is kept of this task, whether or not somebody listens. */
  tellHeld(ref: TaskRef): void {
    this.#recovered.tell(ownerOf(ref));
  }

  /** Drops what is kept of an earlier life of this id. */
  forget(ref: TaskRef): void {
    this.#recovered.drop(ownerOf(ref));
  }

  close(): void {
    this.#recovered.close();
  }

  #exitEnvelope(ref: ProcessRef, exit: Exit): Envelope {
    const event = taskExitEvent({ ...this.#exitFields(ref, exit), id: ref.exec ?? ref.task });
    return { timestamp: timestampNow(), namespace: ref.namespace, ...event };
  }

  #exitFields(ref: TaskRef, exit: Exit) {
    return { containerId: ref.task, pid: exit.pid, exitStatus: exit.status, exitedAt: exit.exitedAt };
  }

  #publish(ref: TaskRef, { topic, event }: TopicEvent): void {
    const envelope: Envelope = { timestamp: timestampNow(), namespace: ref.namespace, topic, event };
    if (this.recovering) this.#recovered.add({ owner: ownerOf(ref), envelope });
    else this.pass(envelope);
  }
}

const ownerOf = ({ namespace, task }: TaskRef): string => `${namespace}/${task}`;
