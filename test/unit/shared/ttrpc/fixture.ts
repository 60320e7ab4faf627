import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import {
  type ServiceTable,
  TtrpcClient,
  TtrpcServer,
  type TtrpcServerOptions,
  type UnaryMethod,
  unary,
} from '../../../../src/shared/ttrpc/index.ts';

/** Messages that are text. */
export const text = {
  encode: (value: string) => Buffer.from(value),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
};

export function method(name: string, service = 'test.Echo'): UnaryMethod<string, string> {
  return { service, name, ...text };
}

export const echo: UnaryMethod<string, string> = method('Echo');
export const echoing = unary(text, (message) => message);

/** A directory for each test, and servers and clients in it that end with the test. */
export class TtrpcGround {
  readonly opened: { close(): unknown }[] = [];
  #directory = '';

  constructor() {
    beforeEach(async () => {
      this.#directory = await mkdtemp(path.join(tmpdir(), 'ttrpc-'));
    });
    afterEach(async () => {
      for (const resource of this.opened.splice(0).toReversed()) await resource.close();
      await rm(this.#directory, { recursive: true, force: true });
    });
  }

  get directory(): string {
    return this.#directory;
  }

  get socket(): string {
    return path.join(this.#directory, 'test.sock');
  }

  /** A server of `test.Echo`, and a client of it. */
  async serve(
    methods: ServiceTable[string],
    options: Partial<TtrpcServerOptions> = {},
    socket = this.socket,
  ): Promise<{ server: TtrpcServer; client: TtrpcClient }> {
    const server = new TtrpcServer({ services: { 'test.Echo': methods }, ...options });
    this.opened.push(server);
    await server.listen(socket);
    return { server, client: await this.dial({ socket }) };
  }

  async dial({
    socket = this.socket,
    firstStream,
  }: {
    socket?: string;
    firstStream?: number;
  } = {}): Promise<TtrpcClient> {
    const client = await TtrpcClient.connect(socket, { deadline: Date.now() + 5000, firstStream });
    this.opened.push(client);
    return client;
  }
}
