import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, TaskError } from '../../src/shared/errors/index.ts';
import type { Namespace } from '../../src/shared/identifiers.ts';
import type { PlacementMode, ShimStart, StartForm } from '../../src/shared/messages/index.ts';
import { maxSocketPath } from '../../src/shared/ttrpc/address.ts';
import { deadlineIn, earlier } from '../../src/shared/util/deadline.ts';
import { shimKey, type WorkerSlot } from '../slot.ts';
import { runStart } from './binary.ts';
import { type Bootstrap, encodeBootstrapParams, parseBootstrap } from './bootstrap.ts';
import { writeBootstrap, writeShimBinaryPath } from './bootstrap-file.ts';
import { dialShim, type ShimConnection } from './connection.ts';
import { encodeAny } from './encode-any.ts';
import { endStrayShims } from './end-shim.ts';
import { type HostProcess, identifyProcess, processesOf, worksIn } from './host-process.ts';
import { watchConnection } from './lost-shim.ts';
import { binaryOf } from './older-bundle.ts';
import { savedProcess, saveProcess } from './process-file.ts';
import { Shim } from './shim.ts';
import { namesGroup } from './shim-group.ts';

/** How long a shim that answered with its address may take to listen there. */
const listenGrace = 1000;
const socketNameLength = '/'.length + 64;

/** Directory for the sockets of shims that let themselves be told (2.3 and later); undefined where paths get too long. */
async function socketDirectory(slot: WorkerSlot): Promise<string | undefined> {
  const directory = slot.settings.socketDirectory ?? path.join(slot.settings.directories.state, '.s');
  if (Buffer.byteLength(directory) + socketNameLength > maxSocketPath) return undefined;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return directory;
}

async function runOneForm(
  slot: WorkerSlot,
  form: StartForm,
  start: ShimStart,
  namespace: Namespace,
  bundle: string,
): Promise<Bootstrap> {
  const { settings } = slot;
  const target = { binary: start.binary, namespace, id: start.shim, bundle };
  const input =
    form === 'options-any'
      ? encodeAny(start.options)
      : encodeBootstrapParams({
          id: start.shim,
          namespace,
          eventsAddress: settings.eventsAddress,
          apiAddress: settings.apiAddress,
          publishBinary: settings.publishBinary,
          debug: settings.debug,
          socketDirectory: await socketDirectory(slot),
          options: start.options,
        });
  const deadline = deadlineIn(settings.deadlines.start);
  return parseBootstrap(await runStart(settings, target, input, deadline));
}

/** Runs the start action in the form that the binary takes; where it does not tell, first the newer, then the older. */
async function runStartAction(
  slot: WorkerSlot,
  start: ShimStart,
  namespace: Namespace,
  bundle: string,
): Promise<Bootstrap> {
  const { startForm } = await slot.facts.get(start.binary);
  if (startForm !== 'unknown') return runOneForm(slot, startForm, start, namespace, bundle);
  try {
    const bootstrap = await runOneForm(slot, 'bootstrap-params', start, namespace, bundle);
    await slot.facts.learn(start.binary, 'bootstrap-params');
    return bootstrap;
  } catch (error) {
    if (hasCode(error, 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED')) throw error;
    // An older shim fails on the newer form after it has started itself.
    await endStrayShims(slot, start.binary, bundle);
    try {
      const bootstrap = await runOneForm(slot, 'options-any', start, namespace, bundle);
      await slot.facts.learn(start.binary, 'options-any');
      return bootstrap;
    } catch (second) {
      // Of two failures the first one is about the form that a newer shim is meant to take.
      throw startForm === 'unknown' && hasCode(second, 'UNKNOWN') ? error : second;
    }
  }
}

async function dialNewShim(bootstrap: Bootstrap, deadline: number): Promise<ShimConnection> {
  const listening = deadlineIn(listenGrace);
  for (;;) {
    try {
      return await dialShim(bootstrap, deadline);
    } catch (error) {
      if (!hasCode(error, 'UNAVAILABLE') || Date.now() >= listening) throw error;
      await delay(10);
    }
  }
}

/** Makes a connected shim one of this slot's, and watches its connection. */
export async function registerShim(
  slot: WorkerSlot,
  options: {
    readonly namespace: Namespace;
    readonly start: Pick<ShimStart, 'shim' | 'binary'>;
    readonly mode: PlacementMode;
    readonly bundle: string;
    readonly bootstrap: Bootstrap;
    readonly connection: ShimConnection;
    /** For the call that asks its pid, in milliseconds since 1970. */
    readonly deadline: number;
  },
): Promise<Shim> {
  const { namespace, start, mode, bundle, bootstrap, connection, deadline } = options;
  const ref = { namespace, shim: start.shim };
  const known = await savedProcess(bundle);
  const shim = new Shim({
    ref,
    mode,
    binary: start.binary,
    bundle,
    bootstrap,
    connection,
    process: known,
    grouped: mode === 'per-task' && namesGroup(bundle),
  });
  if (known === undefined) {
    shim.process = await askProcess(shim, earlier(deadlineIn(slot.settings.deadlines.state), deadline));
    if (shim.process !== undefined) await saveProcess(bundle, shim.process);
  }
  if (shim.binary === '' && shim.process !== undefined) shim.binary = (await binaryOf(shim.process.pid)) ?? '';
  slot.shims.set(shimKey(ref), shim);
  watchConnection(slot, shim);
  return shim;
}

/**
 * The process of a shim that was started for its bundle. Undefined where the shim was started for another bundle (a
 * group's), and so is not this one's to kill. Throws UNAVAILABLE where the shim is gone.
 */
async function askProcess(shim: Shim, deadline: number): Promise<HostProcess | undefined> {
  try {
    const { shimPid } = await shim.client.call((api) => api.connect, { id: shim.ref.shim }, { deadline });
    return (await worksIn(shimPid, shim.bundle)) ? await identifyProcess(shimPid) : undefined;
  } catch (error) {
    if (hasCode(error, 'UNAVAILABLE')) throw error;
    // It does not tell, or not in time; there is one process that works there.
    return (await processesOf(shim.binary, shim.bundle))[0];
  }
}

/**
 * Starts a shim in its bundle and connects to it. Where that fails nothing of the shim is left but the bundle, which
 * is the caller's. Throws what the start action or the reply's parsing throws, UNAVAILABLE where the shim refuses.
 */
export async function launchShim(
  slot: WorkerSlot,
  options: {
    readonly namespace: Namespace;
    readonly start: ShimStart;
    readonly mode: PlacementMode;
    readonly bundle: string;
  },
): Promise<Shim> {
  const { namespace, start, mode, bundle } = options;
  let connection: ShimConnection | undefined;
  try {
    writeShimBinaryPath(bundle, start.binary);
    const bootstrap = await runStartAction(slot, start, namespace, bundle);
    writeBootstrap(bundle, bootstrap);
    const deadline = deadlineIn(slot.settings.deadlines.load);
    connection = await dialNewShim(bootstrap, deadline);
    const shim = await registerShim(slot, { namespace, start, mode, bundle, bootstrap, connection, deadline });
    slot.logger.info('shim started', { namespace, shim: start.shim, pid: shim.process?.pid, mode });
    return shim;
  } catch (error) {
    connection?.close();
    await endStrayShims(slot, start.binary, bundle);
    throw TaskError.from(error, `starting shim ${start.shim}`);
  }
}
