import { defaultAddress } from '../../shared/defaults.ts';
import { versionDefinition } from '../../shared/grpc/index.ts';
import type { Namespace } from '../../shared/identifiers.ts';
import { socketPath } from '../client/address.ts';
import { Daemon } from '../client/daemon.ts';
import { DaemonNotReached } from '../client/service-error.ts';
import { PrivateDaemon } from './private-daemon.ts';

const dialTimeout = 5_000;

/** The daemon that a load is put on. */
export interface Target extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly isPrivate: boolean;
}

/** A daemon of our own, which ends with the target. */
export async function privateTarget(signal: AbortSignal): Promise<Target> {
  const own = await PrivateDaemon.start(signal);
  const daemon = new Daemon(own.address);
  return {
    daemon,
    isPrivate: true,
    async [Symbol.asyncDispose]() {
      daemon.close();
      await own.stop();
    },
  };
}

/** The daemon that runs at `address`; where that is the default one and nobody serves there, one of our own. */
export async function runningTarget(
  address: string,
  namespace: Namespace,
  signal: AbortSignal,
  onPrivate: () => void,
): Promise<Target> {
  const daemon = new Daemon(address);
  const close = () => {
    daemon.close();
    return Promise.resolve();
  };
  try {
    await daemon.call(versionDefinition.version, namespace, {}, { timeout: dialTimeout, signal });
    return { daemon, isPrivate: false, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    if (!(error instanceof DaemonNotReached) || socketPath(address) !== defaultAddress()) throw error;
    onPrivate();
    return privateTarget(signal);
  }
}
