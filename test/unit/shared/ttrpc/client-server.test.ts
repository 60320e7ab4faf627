import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { notFound, TaskError } from '../../../../src/shared/errors/index.ts';
import {
  type CallContext,
  type ServiceTable,
  type StreamMethod,
  streaming,
  TtrpcClient,
  TtrpcServer,
  type TtrpcServerOptions,
  type UnaryMethod,
  unary,
} from '../../../../src/shared/ttrpc/index.ts';
import { deferred } from '../../../../src/shared/util/deferred.ts';

const text = {
  encode: (value: string) => Buffer.from(value),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
};
const method = (name: string, service = 'test.Echo'): UnaryMethod<string, string> => ({ service, name, ...text });
const echo = method('Echo');

let directory: string;
let socket: string;
const opened: { close(): unknown }[] = [];

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'ttrpc-'));
  socket = path.join(directory, 'test.sock');
});

afterEach(async () => {
  for (const resource of opened.splice(0).reverse()) await resource.close();
  await rm(directory, { recursive: true, force: true });
});

async function serve(
  methods: ServiceTable[string],
  options: Partial<TtrpcServerOptions> = {},
): Promise<{ server: TtrpcServer; client: TtrpcClient }> {
  const server = new TtrpcServer({ services: { 'test.Echo': methods }, ...options });
  opened.push(server);
  await server.listen(socket);
  return { server, client: await dial() };
}

async function dial(firstStream?: number): Promise<TtrpcClient> {
  const client = await TtrpcClient.connect(socket, { deadline: Date.now() + 5000, firstStream });
  opened.push(client);
  return client;
}

const echoing = unary(text, (message) => message);

test('a call is answered with the reply of its handler', async () => {
  const { client } = await serve({ Echo: echoing });
  expect(await client.call(echo, 'hello')).toBe('hello');
  expect(await client.call(echo, '')).toBe('');
});

test('a unix:// address is taken as well', async () => {
  await serve({ Echo: echoing });
  const client = await TtrpcClient.connect(`unix://${socket}`, { deadline: Date.now() + 5000 });
  opened.push(client);
  expect(await client.call(echo, 'x')).toBe('x');
});

test('a thousand calls side by side each get their own reply, in any order', async () => {
  const { client } = await serve({
    Echo: unary(text, async (message) => {
      if (Number(message) % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      return message;
    }),
  });
  const numbers = Array.from({ length: 1000 }, (_, number) => String(number));
  expect(await Promise.all(numbers.map((number) => client.call(echo, number)))).toEqual(numbers);
  expect(client.pendingCount).toBe(0);
});
