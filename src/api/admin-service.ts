import type { EventTail, TailStart } from '../events/index.ts';
import { adminDefinition, type RequestOf } from '../shared/grpc/index.ts';
import { overallHealth } from '../shared/health.ts';
import { deadlineIn, earlier, until } from '../shared/util/deadline.ts';
import { wireAny } from '../shared/wire/any.ts';
import { plainInteger } from '../shared/wire/integer.ts';
import { millisecondsOf, plainTimestamp, timestampOf } from '../shared/wire/timestamp.ts';
import { type Service, serverStream, unary } from './binding.ts';
import type { HealthReport } from './health-report.ts';
import type { ServiceKeeper } from './service-keeper.ts';
import type { TaskManager } from './task-manager.ts';
import { parseTask } from './task-requests.ts';

export interface AdminServiceOptions {
  readonly tasks: TaskManager;
  readonly services: ServiceKeeper;
  readonly health: HealthReport;
  readonly tail: EventTail;
  /** Of this installation, and its version. */
  readonly about: { readonly uuid: string; readonly version: string };
}

const sigterm = 15;
/** What a stop may take beyond its patience: a kill, and a restart that was under way. Milliseconds. */
const stopGrace = 60_000;

/** `shimd.v1.Admin`: what containerd's API cannot say. */
export function adminService({
  tasks,
  services,
  health,
  tail,
  about,
}: AdminServiceOptions): Service<typeof adminDefinition> {
  return {
    info: unary(adminDefinition.info, () => ({
      ...about,
      pid: process.pid,
      startedAt: timestampOf(performance.timeOrigin),
      ...tasks.counts(),
      shims: tasks.shims().length,
      slots: tasks.slots().length,
      memory: tasks.vitals().memory,
      cursor: tail.cursor,
      oldestCursor: tail.before,
      problems: health
        .components()
        .filter(({ state }) => state !== 'ok')
        .map(({ component, reason }) => `${component}: ${reason}`),
    })),

    health: unary(adminDefinition.health, () => {
      const components = health.components();
      return {
        state: overallHealth(components),
        components: components.map((component) => ({ ...component, since: timestampOf(component.since) })),
      };
    }),

    deleteTask: unary(adminDefinition.deleteTask, async (request, context) => {
      const task = parseTask(context.namespace(), request.containerId);
      services.hold(task);
      const exit = await (request.force ? tasks.destroy(task, context.limits) : tasks.delete(task, context.limits));
      return { pid: exit.pid, exitStatus: exit.status, exitedAt: exit.exitedAt };
    }),

    stopTask: unary(adminDefinition.stopTask, async (request, context) => {
      const task = parseTask(context.namespace(), request.containerId);
      const { patience } = request;
      const stopped = services.stop(task, { signal: request.signal || sigterm, patience });
      const exit = await until(stopped, {
        deadline: earlier(deadlineIn(patience + stopGrace), context.limits.deadline),
        signal: context.limits.signal,
        doing: `stopping task ${task.task}`,
      });
      return exit === undefined ? { ended: false } : { ended: true, exitStatus: exit.status, exitedAt: exit.exitedAt };
    }),

    listShims: unary(adminDefinition.listShims, () => ({
      shims: tasks.shims().map((shim) => ({
        namespace: shim.namespace,
        id: shim.id,
        pid: shim.pid,
        binary: shim.binary,
        address: shim.address,
        protocol: shim.protocol,
        apiVersion: shim.apiVersion,
        placement: shim.mode,
        slot: shim.slot,
        tasks: shim.tasks,
      })),
    })),

    listSlots: unary(adminDefinition.listSlots, () => {
      const { memory, ...main } = tasks.vitals();
      return {
        slots: tasks.slots().map(({ id, state, shims, tasks: count, operations, restarts, vitals }) => ({
          id,
          state,
          shims,
          tasks: count,
          operations,
          restarts,
          ...(vitals === undefined ? {} : { vitals }),
        })),
        main,
        memory,
      };
    }),

    events: serverStream(adminDefinition.events, async function* (request, context) {
      const { filters, untilNow } = request;
      const options = { from: startOf(request), filters, follow: !untilNow, signal: context.limits.signal };
      for await (const { cursor, envelope } of tail.read(options)) {
        yield { cursor, ...envelope, event: wireAny(envelope.event) };
      }
    }),

    shimLog: serverStream(adminDefinition.shimLog, (request, context) => {
      const tail = {
        ...(request.lines == null ? {} : { lines: plainInteger(request.lines) }),
        ...(request.bytes == null ? {} : { bytes: plainInteger(request.bytes) }),
      };
      return tasks.shimLog(context.namespace(), request.id, { ...tail, follow: request.follow }, context.limits);
    }),

    restartSlot: unary(adminDefinition.restartSlot, async (request) => {
      await tasks.restartSlot(request.id);
      return {};
    }),
  };
}

function startOf(request: RequestOf<typeof adminDefinition.events>): TailStart {
  switch (request.from) {
    case 'after':
      return { kind: 'after', cursor: plainInteger(request.after) };
    case 'since': {
      return { kind: 'time', time: millisecondsOf(plainTimestamp(request.since) ?? timestampOf(0)) };
    }
    case 'oldest':
      return { kind: request.oldest ? 'oldest' : 'now' };
    default:
      return { kind: 'now' };
  }
}
