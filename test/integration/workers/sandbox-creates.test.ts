import { existsSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseNamespace, parseSandboxId, parseShimId } from '../../../src/shared/identifiers.ts';
import { sandboxBundle } from '../../../src/shared/layout.ts';
import { buildDirectory } from '../../helpers/program.ts';
import { TestHost, TestSlot } from './worker-slot.ts';

const ref = { namespace: parseNamespace('test'), sandbox: parseSandboxId('pod') };
const binary = path.join(buildDirectory, 'bin/containerd-shim-process-v1');

let host: TestHost;
let slot: TestSlot;

beforeEach(async () => {
  host = await TestHost.open();
  slot = await TestSlot.open(host.settings());
});

afterEach(async () => {
  await slot.terminate();
  await host.close();
});

const create = (budget: number) =>
  slot.run({
    kind: 'create-sandbox',
    ...ref,
    deadline: Date.now() + budget,
    start: { shim: parseShimId(ref.sandbox), binary },
    runtime: binary,
    spec: Buffer.from('{}'),
    rootfs: [],
    netnsPath: '',
    annotations: {},
  });

/** At each of these moments, in milliseconds, the create is somewhere else between its bundle and its shim's answer. */
test.each([1, 20, 60, 120])(
  'a sandbox that is created after one of its id was given up, after %i ms, and shut down is not taken for that one',
  async (budget) => {
    // A slow machine may not have begun by then, a fast one be done.
    await create(budget).catch(() => undefined);
    await slot.run({ kind: 'shutdown-sandbox', ...ref });
    await create(20_000);
    // Long enough for all that the first one has to undo.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(existsSync(path.join(sandboxBundle(host.directories, ref.namespace, ref.sandbox), 'sandbox.json'))).toBe(
      true,
    );
    expect(await slot.run({ kind: 'start-sandbox', ...ref })).toMatchObject({ pid: 0 });
    await slot.run({ kind: 'shutdown-sandbox', ...ref });
    await expect.poll(() => host.workingProcesses()).toEqual([]);
  },
);
