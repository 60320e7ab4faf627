import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { adminDefinition, tasksDefinition } from '../../src/shared/grpc/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import { endTask, forEach, getTask, launch, listTasks, Status } from '../helpers/tasks.ts';

const ids = Array.from({ length: 100 }, (_, index) => `task-${index}`);
/** Times that metrics are asked for. */
const rounds = 20;
const shared = combinations.filter(({ placement }) => placement === 'shared');

/** Memory of a process in MB, what it shares with others by share. */
function pss(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 1024;
}

/** CPU time that a process has used, in milliseconds. */
function cpu(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // utime and stime, in hundredths of a second.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

describe.skipIf(!haveRuntimes || shared.length === 0).each(shared)(
  '100 tasks with $title',
  ({ generation, placement }) => {
    let daemon: Daemon;

    afterEach(() => daemon?.[Symbol.asyncDispose](), 120_000);

    async function shims(): Promise<number[]> {
      const { shims: all } = await daemon.client.call(adminDefinition.listShims, {});
      // One that was started ahead and is not needed ends by itself.
      return all.filter(({ tasks }) => (tasks ?? 0) > 0).map(({ pid }) => pid ?? 0);
    }

    test('cost their shims at most 0.4 MB each, and metrics of all of them little CPU, and are all there', async () => {
      daemon = await Daemon.start({ generation, placement });
      const pids = new Map<string, number>();
      await forEach(ids, 8, async (id) => {
        pids.set(id, await launch(daemon, id));
      });
      const holders = await shims();
      const memory = holders.reduce((sum, pid) => sum + pss(pid), 0);
      console.log(
        `timing: ${holders.length} shims with 100 tasks have ${memory.toFixed(1)} MB PSS, ${(memory / 100).toFixed(2)} MB a task, ${generation.version}`,
      );
      expect(memory / ids.length).toBeLessThanOrEqual(0.4);

      const tasks = await listTasks(daemon);
      expect(new Map(tasks.map(({ id, pid }) => [id, pid]))).toEqual(pids);
      expect(tasks.filter(({ status }) => status !== Status.RUNNING)).toEqual([]);

      const used = () => ({
        daemon: cpu(daemon.pid),
        shims: holders.reduce((sum, pid) => sum + cpu(pid), 0),
      });
      // The first round compiles.
      await daemon.client.call(tasksDefinition.metrics, {});
      const before = used();
      for (let round = 0; round < rounds; round += 1) {
        const { metrics } = await daemon.client.call(tasksDefinition.metrics, {});
        expect(metrics).toHaveLength(ids.length);
        expect(new Set(metrics.map(({ id }) => id))).toEqual(new Set(ids));
      }
      const after = used();
      const each = (after.daemon - before.daemon) / rounds / ids.length;
      const ofShims = (after.shims - before.shims) / rounds / ids.length;
      console.log(
        `timing: metrics of a task cost the daemon ${each.toFixed(2)} ms and its shim ${ofShims.toFixed(2)} ms of CPU, ${generation.version}`,
      );
      // So that a scrape of 100 tasks every ten seconds costs at most one hundredth of a core.
      expect(each).toBeLessThanOrEqual(1);

      await forEach(ids, 8, async (id) => {
        expect(await getTask(daemon, id)).toMatchObject({ pid: pids.get(id), status: Status.RUNNING });
        await endTask(daemon, id);
      });
      expect(await daemon.settled({ budget: 20_000 })).toEqual(nothingLeft);
    }, 240_000);
  },
);
