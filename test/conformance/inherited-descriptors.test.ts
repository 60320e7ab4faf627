import { readdirSync, readlinkSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition } from '../../src/shared/grpc/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import { endTask, launch } from '../helpers/tasks.ts';

/** What a process has open, as far as it is a file. */
function filesOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
      return target.startsWith('/') ? [target] : [];
    } catch {
      return [];
    }
  });
}

describe.skipIf(!haveRuntimes).each(combinations)('a task with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('and its shim inherit nothing that the daemon has open', async () => {
    daemon = await Daemon.start({ generation, placement });
    const task = await launch(daemon, 'task');
    const { shims } = await daemon.client.call(adminDefinition.listShims, {});
    const pids = [task, ...shims.map(({ pid }) => pid ?? 0)];
    expect(pids.length).toBeGreaterThan(1);
    expect(filesOf(daemon.pid).some((file) => file.endsWith('/metadata.mdb'))).toBe(true);
    for (const pid of pids) expect(filesOf(pid).filter((file) => file.startsWith(daemon.root))).toEqual([]);
    await endTask(daemon, 'task');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});
