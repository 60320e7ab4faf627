import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adminDefinition, introspectionDefinition } from '../../src/shared/grpc/index.ts';
import { containerd } from '../../src/shared/proto/gen/services.js';
import { wireAny } from '../../src/shared/wire/any.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../helpers/fixture-shims.ts';
import { endTask, launch } from '../helpers/tasks.ts';
import { makeDirectory } from '../helpers/test-run.ts';

const sockets = path.join(makeDirectory(), 's');
const embedded = 'io.shimd.process.v1';
const ignoresIsolation = { 'io.shimd.process.ignore-isolation': 'true' };

describe('a daemon whose shims are configured', () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await Daemon.start({
      programs: [fixtureShims],
      config: `[placement]\nidle_grace = "1s"\n[shim]\nsocket_directory = "${sockets}"\n[shim.environment]\nCOLOUR = "blue"\n`,
    });
  });

  afterAll(() => daemon?.[Symbol.asyncDispose]());

  async function info(runtimePath: string, options?: { typeUrl: string; value: Uint8Array }) {
    const request = containerd.types.RuntimeRequest.encode({ runtimePath, options: wireAny(options) ?? null }).finish();
    const { extra } = await daemon.client.call(introspectionDefinition.pluginInfo, {
      type: 'io.containerd.runtime.v2',
      id: 'task',
      options: wireAny({ typeUrl: 'containerd.types.RuntimeRequest', value: request }),
    });
    return containerd.types.RuntimeInfo.decode(extra?.value ?? new Uint8Array());
  }

  test('hands options to a runtime that is asked about itself, and gives all that it tells', async () => {
    const told = await info(fixtureRuntime('informed'), { typeUrl: 'mine', value: Buffer.from('options') });
    expect(told).toMatchObject({
      name: 'informed',
      version: { version: '4.5.6', revision: 'abc' },
      annotations: { colour: 'blue' },
      options: { type_url: 'mine' },
      features: { type_url: 'features' },
    });
    expect(Buffer.from(told.options?.value ?? []).toString()).toBe('options');
    expect(JSON.parse(Buffer.from(told.features?.value ?? []).toString())).toEqual({ ociVersionMax: '1.2.0' });
    expect(await info(embedded)).toMatchObject({ name: embedded });
  });

  test.each([
    ['fails', fixtureRuntime('informed'), { typeUrl: 'fail', value: new Uint8Array(1) }, /the cupboard is bare/],
    ['cannot tell', fixtureRuntime('plain'), undefined, /flag provided but not defined: -info/],
    ['is not installed', fixtureRuntime('no-such'), undefined, /is not installed/],
  ])('quotes what a runtime printed that %s', async (_, runtime, options, reason) => {
    const failure = await failureOf(info(runtime, options));
    expect(failure).toMatchObject({ code: 'UNKNOWN', message: expect.stringMatching(reason) });
  });

  test('gives its shims the environment and the socket directory that are configured', async () => {
    await launch(daemon, 'configured', { runtime: embedded, annotations: ignoresIsolation, rootfs: '/' });
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    const [shim] = shims;
    const environment = readFileSync(`/proc/${shim?.pid ?? 0}/environ`, 'utf8').split('\0');
    expect(environment).toContain('COLOUR=blue');
    expect(environment).toContain(`NAMESPACE=${daemon.namespace}`);
    expect(daemon.shimSockets().map((socket) => path.dirname(socket))).toEqual([sockets]);
    await endTask(daemon, 'configured');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
