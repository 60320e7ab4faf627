import { afterEach, describe, expect, test } from 'vitest';
import { tasksDefinition, versionDefinition } from '../../src/shared/grpc/index.ts';
import { Daemon } from '../helpers/daemon.ts';

/** More than the buffers of a connection take, in either direction. */
const many = 20_000;

// A larger buffer than the host's usual one is a privilege: others are held to some thousands of calls.
describe.skipIf(process.getuid?.() !== 0)('a client of Node’s', () => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test(`has ${many} calls at once on one connection answered, and others meanwhile`, async () => {
    daemon = await Daemon.start();
    const budget = 60_000;
    const calls = Array.from({ length: many }, (_, index) =>
      index % 2 === 0
        ? daemon.client.call(versionDefinition.version, {}, { budget })
        : daemon.client.call(tasksDefinition.kill, { containerId: 'nobody', signal: 9 }, { budget }),
    );
    const other = await daemon.shimd(['version', '--json']);
    expect(other).toMatchObject({ code: 0 });
    const settled = await Promise.allSettled(calls);
    const codes = settled.map((one) => (one.status === 'fulfilled' ? 'OK' : one.reason.code));
    expect(codes.filter((code, index) => code !== (index % 2 === 0 ? 'OK' : 'NOT_FOUND'))).toEqual([]);
  }, 120_000);
});
