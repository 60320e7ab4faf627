import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { isPublishCall, parsePublishArgs, runPublish } from '../../../src/daemon/publish.ts';
import { type Envelope, EventsEndpoint } from '../../../src/events/index.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import { google } from '../../../src/shared/proto/gen/events.js';

const { Any } = google.protobuf;

async function* bytes(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function endpoint(): Promise<{ socket: string; received: Envelope[] }> {
  const directory = mkdtempSync(path.join(tmpdir(), 'shimd-publish-'));
  const received: Envelope[] = [];
  const socket = path.join(directory, 'events.sock');
  const server = await EventsEndpoint.listen(socket, (envelope) => received.push(envelope), silentLogger);
  onTestFinished(async () => {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { socket, received };
}

const event = Any.encode({ type_url: 'containerd.events.TaskOOM', value: new Uint8Array([1, 2, 3]) }).finish();

describe('the publish command', () => {
  test.each([
    [['publish'], true],
    [['-address', '/a', '-namespace', 'n', 'publish', '--topic', '/t'], true],
    [['--namespace', 'n', '--address=/a', 'publish'], true],
    [['-address=/a', '-namespace', 'n', 'publish'], true],
    [['--address', 'publish', 'ps'], false],
    [['run', 'publish'], false],
    [['serve'], false],
    [[], false],
  ])('is what %j asks for: %j', (args, expected) => {
    expect(isPublishCall(args)).toBe(expected);
  });

  test.each([
    [['-address', '/a', '-namespace', 'n', 'publish', '-topic', '/t']],
    [['--address=/a', 'publish', '--topic', '/t', '--namespace', 'n']],
  ])("takes Go's flags: %j", (args) => {
    expect(parsePublishArgs(args)).toMatchObject({ address: '/a', namespace: 'n', topic: '/t' });
  });

  test('hands the event on standard input to the endpoint of TTRPC_ADDRESS', async () => {
    const { socket, received } = await endpoint();
    const args = ['-address', '/none', '-namespace', 'default', 'publish', '--topic', '/tasks/oom'];
    const input = bytes(event.subarray(0, 5), event.subarray(5));
    expect(await runPublish(args, { TTRPC_ADDRESS: socket }, input)).toBe(0);
    expect(received).toEqual([
      expect.objectContaining({
        namespace: 'default',
        topic: '/tasks/oom',
        event: { typeUrl: 'containerd.events.TaskOOM', value: new Uint8Array([1, 2, 3]) },
      }),
    ]);
  });

  test('finds the endpoint beside the gRPC socket where the variable is missing', async () => {
    const { socket, received } = await endpoint();
    const address = path.join(path.dirname(socket), 'shimd.sock');
    const args = ['-address', address, '-namespace', 'default', 'publish', '--topic', '/tasks/oom'];
    expect(await runPublish(args, {}, bytes(event))).toBe(0);
    expect(received).toHaveLength(1);
  });

  test.each([
    ['no topic', ['-namespace', 'n', 'publish'], event, /--topic is missing/],
    ['a namespace that is none', ['-namespace', '../x', 'publish', '--topic', '/t'], event, /namespace validation/],
    [
      'input that is no event',
      ['-namespace', 'n', 'publish', '--topic', '/t'],
      Buffer.from('rubbish'),
      /no serialized/,
    ],
    ['no input', ['-namespace', 'n', 'publish', '--topic', '/t'], Buffer.alloc(0), /no serialized/],
    ['nobody at the address', ['-namespace', 'n', 'publish', '--topic', '/t'], event, /\/none\/events\.sock/],
    ['an unknown flag', ['-frequency', '9', 'publish', '--topic', '/t'], event, /frequency/],
  ])('fails in one line with %s', async (_, args, input, message) => {
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    onTestFinished(() => write.mockRestore());
    expect(await runPublish(args, { TTRPC_ADDRESS: '/none/events.sock' }, bytes(input))).toBe(1);
    expect(write).toHaveBeenCalledOnce();
    expect(write.mock.calls[0]?.[0]).toMatch(message);
  });
});
