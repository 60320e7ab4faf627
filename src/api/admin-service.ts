import { adminDefinition } from '../shared/grpc/index.ts';
import { type Service, unary } from './binding.ts';
import type { TaskManager } from './task-manager.ts';
import { parseTask } from './task-requests.ts';

/** `shimd.v1.Admin`: what containerd's API cannot say. */
export function adminService({ tasks }: { readonly tasks: TaskManager }): Service<typeof adminDefinition> {
  return {
    deleteTask: unary(adminDefinition.deleteTask, async (request, context) => {
      const task = parseTask(context.namespace(), request.containerId);
      const exit = await (request.force ? tasks.destroy(task, context.limits) : tasks.delete(task, context.limits));
      return { pid: exit.pid, exitStatus: exit.status, exitedAt: exit.exitedAt };
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

    listSlots: unary(adminDefinition.listSlots, () => ({
      slots: tasks.slots().map(({ id, state, shims, tasks: count, operations, restarts }) => ({
        id,
        state,
        shims,
        tasks: count,
        operations,
        restarts,
      })),
    })),

    restartSlot: unary(adminDefinition.restartSlot, async (request) => {
      await tasks.restartSlot(request.id);
      return {};
    }),
  };
}
