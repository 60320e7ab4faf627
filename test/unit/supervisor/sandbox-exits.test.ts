import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parseSandboxId } from '../../../src/shared/identifiers.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import type { Context } from '../../../src/supervisor/context.ts';
import { Retries } from '../../../src/supervisor/retries.ts';
import { Sandbox } from '../../../src/supervisor/sandboxes/sandbox.ts';
import { settleSandbox } from '../../../src/supervisor/sandboxes/settle.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { fill, namespace, openStore, smallFileSystem } from '../store/fixture.ts';

const exit = { status: 5, exitedAt: { seconds: 1, nanos: 0 }, madeUp: false };
const refOf = (id: string) => ({ namespace, sandbox: parseSandboxId(id) });

describe.skipIf(process.getuid?.() !== 0)('on a full file system (only root can mount one)', () => {
  test("a sandbox's exit is told, and stored when there is room again", async () => {
    const directory = await smallFileSystem(6 * 1024 * 1024);
    const store = await openStore(directory);
    const retries = new Retries();
    const told: number[] = [];
    const context = {
      retries,
      sandboxExits: store.sandboxExits,
      logger: silentLogger,
      events: { cursor: 7 },
      sandboxEvents: { exited: (_: Sandbox, { status }: { status: number }) => told.push(status) },
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what else a context has is not asked for
    } as unknown as Context;
    const running = { runtime: 'r', shim: undefined, state: { kind: 'running' }, logger: silentLogger } as const;
    const ended = ['kept', 'removed'].map((id) => new Sandbox({ ref: refOf(id), ...running }));
    const ballast = await fill(directory);
    const putUntilFull = () => {
      for (let i = 0; ; i += 1) store.sandboxExits.put(refOf(`other-${i}`), exit);
    };
    expect(putUntilFull).toThrow(expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' }));

    for (const sandbox of ended) settleSandbox(context, sandbox, exit);
    ended[1]?.set({ kind: 'removed' });
    expect(told).toEqual([5, 5]);
    expect(ended[0]?.state).toMatchObject({ kind: 'stopped', exit });
    expect(store.sandboxExits.get(refOf('kept'))).toBeUndefined();

    await rm(ballast);
    await waitFor(() => retries.size === 0, { doing: 'the exits to be stored' });
    retries.close();
    await store.close();
    const again = await openStore(directory);
    expect(again.sandboxExits.get(refOf('kept'))).toEqual(exit);
    expect(again.sandboxExits.get(refOf('removed'))).toBeUndefined();
  });
});
