import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Daemon } from '../../helpers/daemon.ts';
import { mainProgram, runProgram } from '../../helpers/program.ts';
import { repository } from '../../helpers/runtimes.ts';
import { makeDirectory } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';

/** Bytes a task. What the daemon still learns as it goes on is well below it, a leak of 1 kB a task above. */
const mostKept = 500;
const threads = 3;
const timeout = 900_000;

interface Line {
  readonly turn: number;
  readonly heap: number;
  readonly allocated?: number;
}

/** A daemon that tells, when asked, what it holds once all garbage is collected. */
async function probedDaemon(leak = 0): Promise<{ daemon: Daemon; held: () => Promise<number> }> {
  const file = path.join(makeDirectory(), 'memory.jsonl');
  const daemon = await Daemon.start({
    env: {
      NODE_OPTIONS: `--import=${path.join(repository, 'test/fixtures/memory-probe.mjs')}`,
      SHIMD_MEMORY_PROBE: file,
      SHIMD_MEMORY_LEAK: String(leak),
    },
  });
  let turn = 0;
  const once = async (): Promise<number> => {
    turn += 1;
    process.kill(daemon.pid, 'SIGUSR2');
    const lines = await waitFor(
      () => {
        const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
        const all = text
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as Line);
        const ours = all.filter((line) => line.turn === turn);
        return ours.length === threads ? ours : undefined;
      },
      { budget: 30_000, doing: 'every thread to tell what it holds' },
    );
    return lines.reduce((sum, { heap, allocated = 0 }) => sum + heap + allocated, 0);
  };
  // What was under way when one was asked is done when it is asked again.
  return { daemon, held: async () => Math.min(await once(), await once(), await once()) };
}

async function load(daemon: Daemon, tasks: number): Promise<void> {
  const args = [mainProgram, 'load', '--address', daemon.socket, '--tasks', String(tasks), '--concurrency', '32'];
  const { code, stderr } = await runProgram(process.execPath, args, { timeout });
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
}

async function keptPerTask(tasks: number, warmUp: number, leak = 0): Promise<number> {
  const { daemon, held } = await probedDaemon(leak);
  await using _ = daemon;
  await load(daemon, warmUp);
  const before = await held();
  await load(daemon, tasks);
  const after = await held();
  return (after - before) / tasks;
}

test('a daemon keeps nothing of the tasks that are gone', { timeout }, async () => {
  const kept = await keptPerTask(1000, 400);
  console.log(`kept: ${Math.round(kept)} bytes a task`);
  expect(kept).toBeLessThan(mostKept);
});

test('what is kept of each task is seen', { timeout }, async () => {
  // Much more than the code that V8 drops or makes meanwhile, some 1 MB, with as few tasks as this.
  const leak = 16_384;
  expect(await keptPerTask(200, 200, leak)).toBeGreaterThan(leak / 2);
});
