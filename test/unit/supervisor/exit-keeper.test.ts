import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parseTaskId } from '../../../src/shared/identifiers.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import { ExitKeeper } from '../../../src/supervisor/exit-keeper.ts';
import { Retries } from '../../../src/supervisor/retries.ts';
import { TaskProcess } from '../../../src/supervisor/task-process.ts';
import { waitFor } from '../../helpers/wait-for.ts';
import { fill, namespace, openStore, smallFileSystem } from '../store/fixture.ts';
import { noStdio } from './fixture.ts';

const exit = { pid: 1, status: 5, exitedAt: { seconds: 1, nanos: 0 }, source: 'wait' } as const;
const refOf = (id: string) => ({ namespace, task: parseTaskId(id) });

describe.skipIf(process.getuid?.() !== 0)('on a full file system (only root can mount one)', () => {
  test('an exit is refused, known all the same, and stored when there is room again', async () => {
    const directory = await smallFileSystem(6 * 1024 * 1024);
    const store = await openStore(directory);
    const retries = new Retries();
    const keeper = new ExitKeeper(store.exits, retries, silentLogger);
    const ballast = await fill(directory);
    const putUntilFull = () => {
      for (let i = 0; ; i += 1) store.exits.put(refOf(`other-${i}`), exit);
    };
    expect(putUntilFull).toThrow(expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' }));

    const ended = new TaskProcess(refOf('ended'), noStdio, { kind: 'running', pid: 1 }, silentLogger);
    expect(keeper.trouble).toBeUndefined();
    const known = keeper.store(ended, { ...exit, owed: 'anybody', after: 7 });
    expect(known).toMatchObject({ status: 5 });
    ended.set({ kind: 'stopped', exit: known });
    expect(store.exits.get(ended.ref)).toBeUndefined();
    expect(keeper.get(ended.ref)).toMatchObject({ status: 5, owed: 'anybody' });
    keeper.setOwed(ended.ref, 'client');
    expect(keeper.trouble).toMatchObject({ state: 'degraded', reason: expect.stringContaining('no room') });

    await rm(ballast);
    await waitFor(() => store.exits.get(ended.ref) !== undefined, { doing: 'the exit to be stored' });
    expect(keeper.trouble).toBeUndefined();
    retries.close();
    await store.close();
    expect((await openStore(directory)).exits.get(ended.ref)).toEqual({ ...exit, owed: 'client' });
  });
});
