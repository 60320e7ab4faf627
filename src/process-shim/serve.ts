import { closeSync, fstatSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { TtrpcServer } from '../shared/ttrpc/index.ts';
import { isolationNotice, runtimeName, version } from './about.ts';
import { type Bootstrap, encodeBootstrapReply, parseBootstrap } from './bootstrap.ts';
import type { CommandLine } from './command-line.ts';
import { EventPublisher } from './event-publisher.ts';
import { LazySandbox } from './lazy-sandbox.ts';
import { stderrLogger } from './log.ts';
import { Memberships } from './memberships.ts';
import { TaskService } from './service.ts';
import { taskServices } from './service-table.ts';
import { defaultSocketDirectory, ensureSocketDirectory, socketPath } from './socket-address.ts';
import { readyDescriptor } from './start.ts';
import { TaskEvents } from './task-events.ts';

/** How long the last events may take at shutdown. */
const eventGrace = 1_000;
const stdinBudget = 5_000;

/** Serves the task API until a Shutdown finds no task left. Returns when it serves. */
export async function serve(commandLine: CommandLine): Promise<void> {
  const ready = takeReadyDescriptor();
  try {
    closeStrays();
    const bundle = path.resolve(commandLine.bundle || '.');
    const bootstrap = parseBootstrap(await readStdin(), { ...commandLine, environment: process.env });
    const socket = commandLine.socket.replace(/^unix:\/\//, '') || chooseSocket(bootstrap, bundle);
    if (await isServed(socket)) {
      // A group's further task, or a repeated start: the shim that is there is the answer.
      ready(`+`, encodeBootstrapReply(socket, bootstrap.reply));
      process.exit(0);
    }
    await listen(socket, bootstrap);
    ready('+', encodeBootstrapReply(socket, bootstrap.reply));
  } catch (error) {
    ready('-', Buffer.from(error instanceof Error ? error.message : String(error)));
    process.exit(1);
  }
}

async function listen(socket: string, bootstrap: Bootstrap): Promise<void> {
  const logger = stderrLogger({ debug: bootstrap.debug }).child({ namespace: bootstrap.namespace, shim: bootstrap.id });
  // A session of its own gets no hang-up; what still sends one must not end tasks.
  process.on('SIGHUP', () => undefined);
  process.on('uncaughtException', (error) => logger.error('uncaught exception', { error: error.stack }));
  process.on('unhandledRejection', (reason) => logger.error('unhandled rejection', { error: String(reason) }));
  // It goes on working in the bundle that it was started for, as shims do: that is how its process is recognized.

  const { eventsAddress: address, namespace } = bootstrap;
  const publisher = new EventPublisher({ address, namespace, logger });
  const end = async (): Promise<void> => {
    logger.info('shim ends');
    await publisher.close(eventGrace);
    await server.close();
    await unlink(socket).catch(() => undefined);
    process.exit(0);
  };
  const memberships = new Memberships(logger);
  const sandboxes = new LazySandbox({ memberships, logger });
  const service = new TaskService({
    events: new TaskEvents(publisher),
    memberships,
    logger,
    isNeeded: () => sandboxes.isNeeded,
    onShutdown: () => void end(),
  });
  const server = new TtrpcServer({ services: { ...taskServices(service), ...sandboxes.services }, logger });
  await server.listen(socket, { mode: 0o600 });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (service.taskCount === 0 && !sandboxes.isNeeded) void end();
      else logger.warn('signal ignored', { signal, tasks: service.taskCount });
    });
  }
  logger.info('shim serves', {
    socket,
    pid: process.pid,
    runtime: runtimeName,
    version: version(),
    notice: isolationNotice,
  });
}

function chooseSocket(bootstrap: Bootstrap, bundle: string): string {
  const directory = bootstrap.socketDirectory ?? defaultSocketDirectory(process.env);
  ensureSocketDirectory(directory);
  const id = groupOf(bundle) ?? bootstrap.id;
  return socketPath(directory, { grpcAddress: bootstrap.grpcAddress, namespace: bootstrap.namespace, id });
}

/** Tasks of one group, such as a pod, share a shim. */
function groupOf(bundle: string): string | undefined {
  try {
    const config: unknown = JSON.parse(readFileSync(path.join(bundle, 'config.json'), 'utf8'));
    if (typeof config !== 'object' || config === null || !('annotations' in config)) return undefined;
    const annotations = new Map(Object.entries(config.annotations ?? {}));
    for (const name of ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id']) {
      const group: unknown = annotations.get(name);
      if (typeof group === 'string' && group !== '') return group;
    }
  } catch {
    // Create reads the spec again and says what is wrong with it.
  }
  return undefined;
}

function isServed(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    probe.setTimeout(1_000, () => probe.destroy());
    probe.once('connect', () => {
      resolve(true);
      probe.destroy();
    });
    probe.once('error', () => resolve(false));
    probe.once('close', () => resolve(false));
  });
}

async function readStdin(): Promise<Uint8Array> {
  if (process.stdin.isTTY) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  const timer = setTimeout(
    () => process.stdin.destroy(new Error(`stdin did not end within ${stdinBudget} ms`)),
    stdinBudget,
  );
  try {
    for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}

/** Answers the `start` action once; does nothing where the shim was started without one. */
function takeReadyDescriptor(): (sign: '+' | '-', text: Uint8Array) => void {
  let open = isOpen(readyDescriptor);
  return (sign, text) => {
    if (!open) return;
    open = false;
    writeSync(readyDescriptor, Buffer.concat([Buffer.from(sign), text]));
    closeSync(readyDescriptor);
  };
}

/** Closes descriptors that whoever started the shim has left open; tasks would inherit them. Node's own are close-on-exec. */
function closeStrays(): void {
  const closeOnExec = 0o2000000;
  for (const name of readdirSync('/proc/self/fdinfo')) {
    const fd = Number(name);
    if (fd <= readyDescriptor) continue;
    try {
      const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
      if (flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0) closeSync(fd);
    } catch {
      // The listing's own descriptor.
    }
  }
}

function isOpen(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket() || fstatSync(fd).isFIFO();
  } catch {
    return false;
  }
}
