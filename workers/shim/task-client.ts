import { hasCode } from '../../src/shared/errors/index.ts';
import type { Namespace } from '../../src/shared/identifiers.ts';
import type { TaskApiVersion } from '../../src/shared/messages/index.ts';
import type { UnaryMethod } from '../../src/shared/ttrpc/method.ts';
import type { ShimConnection } from './connection.ts';
import { type TaskMethods, taskMethods, taskService } from './task-methods.ts';

/**
 * The task API of one shim, in the version that it speaks. A shim that turns out not to know version 3 is spoken to
 * in version 2 from then on.
 */
export class TaskClient {
  readonly connection: ShimConnection;
  readonly #metadata: Readonly<Record<string, string>>;
  readonly #onDowngrade: () => Promise<void>;
  #version: TaskApiVersion;
  #answeredAt = 0;

  constructor(options: {
    readonly connection: ShimConnection;
    readonly namespace: Namespace;
    readonly version: TaskApiVersion;
    /** Told once when version 2 replaces version 3, so that it is remembered. */
    readonly onDowngrade: () => Promise<void>;
  }) {
    this.connection = options.connection;
    this.#metadata = { [options.connection.namespaceKey]: options.namespace };
    this.#version = options.version;
    this.#onDowngrade = options.onDowngrade;
  }

  /** When it last answered anything, in milliseconds since 1970. */
  get answeredAt(): number {
    return this.#answeredAt;
  }

  get version(): TaskApiVersion {
    return this.#version;
  }

  /** Calls a method of another service of the same shim. Throws the shim's own error; see `ShimConnection.call`. */
  send<Req, Res>(
    method: UnaryMethod<Req, Res>,
    request: Req,
    options: { readonly deadline?: number | undefined } = {},
  ): Promise<Res> {
    return this.connection.call(method, request, { deadline: options.deadline, metadata: this.#metadata });
  }

  /** Calls the method that `pick` takes of the version's. Throws the shim's own error; see `ShimConnection.call`. */
  async call<Req, Res>(
    pick: (methods: TaskMethods) => UnaryMethod<Req, Res>,
    request: Req,
    options: { readonly deadline?: number | undefined } = {},
  ): Promise<Res> {
    const send = (version: TaskApiVersion) =>
      this.connection.call(pick(taskMethods[version]), request, {
        deadline: options.deadline,
        metadata: this.#metadata,
      });
    const version = this.#version;
    try {
      const response = await send(version);
      this.#answeredAt = Date.now();
      return response;
    } catch (error) {
      // A method that the shim lacks is UNIMPLEMENTED too; only the whole service missing means the other version.
      if (version !== 3 || !hasCode(error, 'UNIMPLEMENTED') || !error.message.includes(taskService(3))) throw error;
      const response = await send(2);
      if (this.#version === 3) {
        this.#version = 2;
        await this.#onDowngrade();
      }
      return response;
    }
  }
}
