import { hasCode, TaskError } from '../../src/shared/errors/index.ts';
import type { Namespace } from '../../src/shared/identifiers.ts';
import type { ShimChoice } from '../../src/shared/messages/index.ts';
import { deadlineIn } from '../../src/shared/util/deadline.ts';
import type { WorkerSlot } from '../slot.ts';
import { writeBootstrap, writeShimBinaryPath } from './bootstrap-file.ts';
import { dialShim } from './connection.ts';
import { registerShim } from './launch-shim.ts';
import type { Shim } from './shim.ts';

/**
 * Connects to a shim that somebody else runs, for one task, and writes down how in the task's bundle. Where that fails
 * nothing is left but the bundle, which is the caller's. Throws UNAVAILABLE where nothing listens there.
 */
export async function joinShim(
  slot: WorkerSlot,
  options: {
    readonly namespace: Namespace;
    readonly choice: Extract<ShimChoice, { readonly kind: 'joined' }>;
    readonly bundle: string;
  },
): Promise<Shim> {
  const { namespace, choice, bundle } = options;
  const { address, protocol, apiVersion } = choice.at;
  const bootstrap = { version: apiVersion, address, protocol };
  const deadline = deadlineIn(slot.settings.deadlines.load);
  try {
    const connection = await dialShim(bootstrap, deadline);
    try {
      writeShimBinaryPath(bundle, choice.binary);
      writeBootstrap(bundle, bootstrap);
      const start = { shim: choice.shim, binary: choice.binary };
      return await registerShim(slot, { namespace, start, mode: 'joined', bundle, bootstrap, connection, deadline });
    } catch (error) {
      connection.close();
      throw error;
    }
  } catch (error) {
    // Refused is not "try again": the address that the client gave is of no use.
    if (!hasCode(error, 'UNAVAILABLE')) throw error;
    const { message } = TaskError.from(error);
    throw new TaskError('FAILED_PRECONDITION', `joining the shim at ${address}: ${message}: failed precondition`, {
      cause: error,
    });
  }
}
