import { hasCode } from '../../src/shared/errors/index.ts';
import type { Namespace } from '../../src/shared/identifiers.ts';
import type { TaskApiVersion } from '../../src/shared/messages/index.ts';
import type { UnaryMethod } from '../../src/shared/ttrpc/method.ts';
import type { ShimConnection } from './connection.ts';
import { type TaskMethods, taskMethods, taskService } from './task-methods.ts';

type RequestOf<M> = M extends UnaryMethod<infer Req, infer _> ? Req : never;
type ResponseOf<M> = M extends UnaryMethod<infer _, infer Res> ? Res : never;

/**
 * The task API of one shim, in the version that it speaks. A shim that turns out not to know version 3 is spoken to
 * in version 2 from then on.
 */
export class TaskClient {
  readonly connection: ShimConnection;
  readonly #metadata: Readonly<Record<string, string>>;
  readonly #onDowngrade: () => Promise<void>;
  #version: TaskApiVersion;

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

  get version(): TaskApiVersion {
    return this.#version;
  }

  /** Throws the shim's own error; see `ShimConnection.call`. */
  async call<K extends keyof TaskMethods>(
    name: K,
    request: RequestOf<TaskMethods[K]>,
    options: { readonly deadline?: number | undefined } = {},
  ): Promise<ResponseOf<TaskMethods[K]>> {
    const version = this.#version;
    try {
      return await this.#send(version, name, request, options.deadline);
    } catch (error) {
      // A method that the shim lacks is UNIMPLEMENTED too; only the whole service missing means the other version.
      if (version !== 3 || !hasCode(error, 'UNIMPLEMENTED') || !error.message.includes(taskService(3))) throw error;
      const response = await this.#send(2, name, request, options.deadline);
      if (this.#version === 3) {
        this.#version = 2;
        await this.#onDowngrade();
      }
      return response;
    }
  }

  #send<K extends keyof TaskMethods>(
    version: TaskApiVersion,
    name: K,
    request: RequestOf<TaskMethods[K]>,
    deadline: number | undefined,
  ): Promise<ResponseOf<TaskMethods[K]>> {
    // The table's type cannot say that a key's request and response belong together; its construction does.
    const method = taskMethods[version][name] as unknown as UnaryMethod<
      RequestOf<TaskMethods[K]>,
      ResponseOf<TaskMethods[K]>
    >;
    return this.connection.call(method, request, { deadline, metadata: this.#metadata });
  }
}
