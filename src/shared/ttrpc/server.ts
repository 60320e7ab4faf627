import { randomInt } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { chmod, lstat, rename, unlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { TaskError, unavailable } from '../errors/index.ts';
import type { Logger } from '../log/logger.ts';
import { socketPathOf } from './address.ts';
import type { CallContext } from './call-context.ts';
import type { ServiceTable } from './handler.ts';
import { type HandlerTable, ServerConnection } from './server-connection.ts';

export interface TtrpcServerOptions {
  readonly services: ServiceTable;
  /** Calls that one connection may have unanswered. Default 8192: waits for exits are calls too. */
  readonly maxInFlight?: number | undefined;
  readonly logger?: Logger | undefined;
  /** Told of errors that no client sees: a handler's bug, a connection that could not be accepted. */
  readonly onError?: ((error: Error) => void) | undefined;
}

export interface ListenOptions {
  /** Mode of the socket file. Default 0600. */
  readonly mode?: number | undefined;
  /** Remove the socket file on close. Default false: who finds it refused knows at once that nobody is there. */
  readonly unlink?: boolean | undefined;
}

interface Listener {
  readonly server: Server;
  /** Path of its socket file, and the file's inode: another one there is not its own. */
  readonly target: string;
  readonly ino: number;
  readonly unlink: boolean;
}

/** Milliseconds that `close` gives to replies on their way. */
const closeGrace = 500;

/** Serves methods over unix sockets. */
export class TtrpcServer implements AsyncDisposable {
  readonly #options: TtrpcServerOptions;
  readonly #handlers: HandlerTable;
  readonly #listeners: Listener[] = [];
  readonly #connections = new Set<ServerConnection>();
  #closing: Promise<void> | undefined;

  constructor(options: TtrpcServerOptions) {
    this.#options = options;
    this.#handlers = new Map(
      Object.entries(options.services).map(([service, methods]) => [service, new Map(Object.entries(methods))]),
    );
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Listens at a path or `unix://path`, taking the place of whatever socket file is there: whoever calls has to know that
   * nobody serves it. Node removes the name it has bound when it closes, so a temporary one is bound and renamed.
   */
  async listen(address: string, options: ListenOptions = {}): Promise<void> {
    const target = socketPathOf(address);
    if (this.#closing !== undefined) throw unavailable(`listen at ${target}: the server is closed`);
    const temporary = temporaryName(target);
    const server = createServer((socket) => this.#accept(socket, target));
    await bind(server, temporary, target);
    try {
      await chmod(temporary, options.mode ?? 0o600);
      const { ino } = await lstat(temporary);
      await rename(temporary, target);
      server.on('error', (error) => this.#report('accept failed', error));
      this.#listeners.push({ server, target, ino, unlink: options.unlink ?? false });
    } catch (error) {
      server.close();
      throw TaskError.from(error, `listen at ${target}`);
    }
  }

  /** Where nobody finds it any more: its socket file was removed, or another one is in its place. */
  lostAddresses(): string[] {
    return this.#listeners
      .filter(({ target, ino }) => lstatSync(target, { throwIfNoEntry: false })?.ino !== ino)
      .map(({ target }) => target);
  }

  /** Stops listening, ends every call with UNAVAILABLE, sends replies that were made. Can be repeated. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const stopped = this.#listeners.map(async ({ server, target, ino, unlink }) => {
      if (unlink) await removeOwn(target, ino);
      await new Promise<void>((resolve) => server.close(() => resolve()));
    });
    const reason = unavailable('the server is closing');
    await Promise.all([...this.#connections].map((connection) => connection.close(reason, closeGrace)));
    await Promise.all(stopped);
  }

  #accept(socket: Socket, name: string): void {
    if (this.#closing !== undefined) {
      socket.destroy();
      return;
    }
    const connection = new ServerConnection(socket, `a client of ${name}`, {
      handlers: this.#handlers,
      maxInFlight: this.#options.maxInFlight ?? 8192,
      onClosed: () => this.#connections.delete(connection),
      onUnexpected: (error, context) => this.#reportHandler(error, context),
    });
    this.#connections.add(connection);
  }

  #reportHandler(error: unknown, context: CallContext): void {
    const cause = error instanceof Error ? error : new Error(String(error));
    const { service, method } = context;
    this.#options.logger?.error('ttrpc handler failed', { service, method, error: cause.stack ?? cause.message });
    this.#options.onError?.(cause);
  }

  #report(event: string, error: Error): void {
    this.#options.logger?.error(`ttrpc ${event}`, { error: error.message });
    this.#options.onError?.(error);
  }
}

/** A hidden name beside `target` and no longer than it where that matters: the path's length is limited. */
function temporaryName(target: string): string {
  const length = Math.min(9, Math.max(4, path.basename(target).length));
  let name = '.';
  while (name.length < length) name += randomInt(36).toString(36);
  return path.join(path.dirname(target), name);
}

function bind(server: Server, temporary: string, target: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(TaskError.from(error, `listen at ${target}`));
    server.once('error', onError);
    // The file is made before `listen` returns, with the rights that the mask leaves: at no time is it anybody else's.
    const mask = process.umask(0o177);
    try {
      server.listen({ path: socketPathOf(temporary), backlog: 1024 }, () => {
        server.off('error', onError);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}

/** Removes the file unless somebody else's has taken its place. */
async function removeOwn(target: string, ino: number): Promise<void> {
  const found = await lstat(target).catch(() => undefined);
  if (found?.ino === ino) await unlink(target).catch(() => undefined);
}
