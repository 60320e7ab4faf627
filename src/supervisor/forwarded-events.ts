import { type Envelope, frozenTaskOf, taskExitOf, taskOomOf, topics } from '../events/index.ts';
import { isIdentifier, parseExecId, parseNamespace, parseTaskId } from '../shared/identifiers.ts';
import type { Context } from './context.ts';
import { frozenOrThawed } from './freezing.ts';

/** Made by the supervisor itself, in order and once: a shim's own copy is of no use. */
const ownTopics: ReadonlySet<string> = new Set([
  topics.taskCreate,
  topics.taskStart,
  topics.taskDelete,
  topics.taskExecAdded,
  topics.taskExecStarted,
  topics.taskCheckpointed,
]);

/** What a shim forwards. Never throws. */
export function takeForwarded(context: Context, envelope: Envelope): void {
  const { namespace, topic, event } = envelope;
  if (topic === topics.taskPaused || topic === topics.taskResumed) {
    const id = frozenTaskOf(event);
    if (id === undefined || ![namespace, id].every(isIdentifier)) return;
    const ref = { namespace: parseNamespace(namespace), task: parseTaskId(id) };
    frozenOrThawed(context, ref, topic === topics.taskPaused ? 'paused' : 'running');
    return;
  }
  if (ownTopics.has(topic)) return;
  if (topic === topics.taskExit) {
    const exit = taskExitOf(event);
    if (exit === undefined || ![namespace, exit.containerId, exit.id].every(isIdentifier)) return;
    const task = { namespace: parseNamespace(namespace), task: parseTaskId(exit.containerId) };
    const ref = exit.id === exit.containerId ? task : { ...task, exec: parseExecId(exit.id) };
    context.router.exit(ref, { pid: exit.pid, status: exit.exitStatus, exitedAt: exit.exitedAt }, 'event');
    return;
  }
  if (topic === topics.taskOom) {
    const id = taskOomOf(event);
    if (id === undefined || ![namespace, id].every(isIdentifier)) return;
    context.router.oom({ namespace: parseNamespace(namespace), task: parseTaskId(id) }, envelope.timestamp);
    return;
  }
  context.events.pass(envelope);
}
