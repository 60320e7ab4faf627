import type { OperationKind, ReplyByKind, SandboxOperation } from '../../../src/shared/messages/index.ts';
import { unreachable } from '../../../src/shared/util/unreachable.ts';
import type { WorkerSlot } from '../../slot.ts';
import { adoptSandbox } from './adopt-sandbox.ts';
import { createSandbox } from './create-sandbox.ts';
import { dropSandbox } from './drop-sandbox.ts';
import { readSandboxMetrics } from './sandbox-metrics.ts';
import { readSandboxPlatform } from './sandbox-platform.ts';
import { readSandboxStatus } from './sandbox-status.ts';
import { shutdownSandbox } from './shutdown-sandbox.ts';
import { startSandbox } from './start-sandbox.ts';
import { stopSandbox } from './stop-sandbox.ts';

/** The operations of sandboxes. */
export async function performSandboxOperation(
  slot: WorkerSlot,
  operation: SandboxOperation,
): Promise<ReplyByKind[OperationKind]> {
  switch (operation.kind) {
    case 'create-sandbox':
      return createSandbox(slot, operation);
    case 'start-sandbox':
      return startSandbox(slot, operation);
    case 'stop-sandbox':
      return stopSandbox(slot, operation);
    case 'shutdown-sandbox':
      return shutdownSandbox(slot, operation);
    case 'adopt-sandbox':
      return adoptSandbox(slot, operation);
    case 'drop-sandbox':
      return dropSandbox(slot, operation);
    case 'sandbox-status':
      return readSandboxStatus(slot, operation);
    case 'sandbox-platform':
      return readSandboxPlatform(slot, operation);
    case 'sandbox-metrics':
      return readSandboxMetrics(slot, operation);
    default:
      return unreachable(operation);
  }
}
