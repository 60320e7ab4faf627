import { stat } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { TtrpcClient, TtrpcServer } from '../../../../src/shared/ttrpc/index.ts';
import { echo, echoing, TtrpcGround } from './fixture.ts';

const ground = new TtrpcGround();

test('a unix:// address is taken as well', async () => {
  await ground.serve({ Echo: echoing });
  const client = await TtrpcClient.connect(`unix://${ground.socket}`, { deadline: Date.now() + 5000 });
  ground.opened.push(client);
  expect(await client.call(echo, 'x')).toBe('x');
});

test('the socket file gets its mode and stays after close, so that a dial is refused at once', async () => {
  const server = new TtrpcServer({ services: {} });
  ground.opened.push(server);
  await server.listen(ground.socket, { mode: 0o660 });
  expect((await stat(ground.socket)).mode & 0o777).toBe(0o660);
  await server.close();
  expect((await stat(ground.socket)).isSocket()).toBe(true);
  await expect(ground.dial()).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('connection refused'),
  });
});

test('a stale socket file is replaced, and with `unlink` the file is gone after close', async () => {
  await (await ground.serve({ Echo: echoing })).server.close();
  const server = new TtrpcServer({ services: { 'test.Echo': { Echo: echoing } } });
  ground.opened.push(server);
  await server.listen(ground.socket, { unlink: true });
  expect(await (await ground.dial()).call(echo, 'second')).toBe('second');
  await server.close();
  await expect(stat(ground.socket)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(ground.dial()).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.not.stringMatching(/ENOENT|no such/),
  });
});

test('a server with `unlink` leaves the socket of its successor alone', async () => {
  const first = new TtrpcServer({ services: {} });
  const second = new TtrpcServer({ services: { 'test.Echo': { Echo: echoing } } });
  ground.opened.push(first, second);
  await first.listen(ground.socket, { unlink: true });
  await second.listen(ground.socket);
  await first.close();
  expect(await (await ground.dial()).call(echo, 'second')).toBe('second');
});

test('addresses that cannot be a socket are INVALID_ARGUMENT before anything is tried', async () => {
  const long = path.join(ground.directory, 'x'.repeat(108 - ground.directory.length - 1));
  expect(Buffer.byteLength(long)).toBe(108);
  for (const address of [long, '@abstract', '\0abstract', 'relative.sock', 'tcp://127.0.0.1:1', 'unix://x', '']) {
    const dialled = TtrpcClient.connect(address, { deadline: Date.now() + 1000 });
    await expect(dialled).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const listened = new TtrpcServer({ services: {} }).listen(address);
    await expect(listened).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
});

test('a path of 107 bytes, the longest there is, works', async () => {
  const long = path.join(ground.directory, 'x'.repeat(107 - ground.directory.length - 1));
  const { client } = await ground.serve({ Echo: echoing }, {}, long);
  expect(await client.call(echo, 'long')).toBe('long');
});
