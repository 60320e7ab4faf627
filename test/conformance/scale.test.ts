import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { cgroupsNaming, processesNaming, runcStateNaming } from '../helpers/leftovers.ts';
import { Program, runProgram } from '../helpers/program.ts';
import { haveRuntimes, repository } from '../helpers/runtimes.ts';
import { makeDirectory } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

const script = path.join(repository, 'test/bench/scale.mjs');

/** Starts a run and waits until it has tasks; answers what its things are named by. It takes longer than any test. */
async function startRun(runtime: string, directory: string) {
  const args = [script, '--tasks', '1000', '--runtime', runtime, '--out', directory];
  const run = new Program(process.execPath, args, { env: { ...process.env, TMPDIR: directory } });
  onTestFinished(async () => {
    run.child.kill('SIGTERM');
    run.child.kill('SIGCONT');
    await run.finished;
  });
  const isItsOwn = (name: string): boolean => name.startsWith(`shimd-scale-${run.child.pid}-`);
  const mark = await waitFor(() => readdirSync(directory).find(isItsOwn), { budget: 20_000 });
  await waitFor(() => tasksOf(mark).length >= 5, { budget: 30_000, doing: 'the run to have tasks' });
  return { run, mark };
}

function tasksOf(mark: string) {
  return processesNaming(mark).filter(({ command }) => command.includes('sleep 1000000'));
}

function leftOf(mark: string, directory: string) {
  return {
    processes: processesNaming(mark),
    cgroups: cgroupsNaming(mark),
    directories: readdirSync(directory).filter((name) => name === mark),
    ofRunc: runcStateNaming(mark),
  };
}

const nothing = { processes: [], cgroups: [], directories: [], ofRunc: [] };

describe.skipIf(!haveRuntimes)('the scale run', () => {
  test.each(['runc', 'process'])('of %s has every exit of tasks that are killed at once', async (runtime) => {
    const out = makeDirectory();
    const args = [script, '--tasks', '24', '--runtime', runtime, '--out', out];
    const result = await runProgram(process.execPath, args, {
      timeout: 110_000,
      env: { ...process.env, TMPDIR: out },
    });
    expect(result.stderr).not.toContain('scale:');
    expect(result.code).toBe(0);
    const { results } = JSON.parse(readFileSync(path.join(out, `scale-${runtime}.json`), 'utf8')) as {
      readonly results: readonly Readonly<Record<string, number>>[];
    };
    expect(results).toMatchObject([{ tasks: 24, lost: 0, wrong: 0, repeated: 0 }]);
    expect(processesNaming(out)).toEqual([]);
  });

  test.each([
    ['SIGINT', 'process', 130],
    ['SIGTERM', 'runc', 143],
  ] as const)('that is ended by %s leaves nothing of %s', async (signal, runtime, code) => {
    const directory = makeDirectory();
    const { run, mark } = await startRun(runtime, directory);
    run.child.kill(signal);
    expect(await run.finished).toMatchObject({ code });
    expect(leftOf(mark, directory)).toEqual(nothing);
  });

  test('removes what others have left that were killed, and nothing of one that goes on', async () => {
    const directory = makeDirectory();
    const runs: Awaited<ReturnType<typeof startRun>>[] = [];
    for (const runtime of ['process', 'runc', 'process']) {
      const one = await startRun(runtime, directory);
      // As far as it is now; the others do not have to wait for it.
      one.run.child.kill('SIGSTOP');
      runs.push(one);
    }
    const [going, ...killed] = runs;
    for (const { run, mark } of killed) {
      run.child.kill('SIGKILL');
      await run.finished;
      expect(tasksOf(mark).length).toBeGreaterThan(0);
      expect(cgroupsNaming(mark).length).toBeGreaterThan(5);
    }
    const args = [script, '--tasks', '1', '--runtime', 'process', '--out', directory];
    const next = await runProgram(process.execPath, args, { env: { ...process.env, TMPDIR: directory } });
    expect(next.code).toBe(0);
    for (const { mark } of killed) {
      expect(next.stderr).toContain(`removing what ${mark} has left`);
      expect(leftOf(mark, directory)).toEqual(nothing);
    }
    expect(next.stderr).not.toContain(going?.mark);
    expect(tasksOf(going?.mark ?? '').length).toBeGreaterThan(0);
  });
});
