import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { processesNaming } from '../helpers/leftovers.ts';
import { buildDirectory, Program, type RunOptions } from '../helpers/program.ts';
import { repository } from '../helpers/runtimes.ts';
import { makeDirectory } from '../helpers/test-run.ts';
import { waitFor } from '../helpers/wait-for.ts';

function start(temporary: string): Program {
  // What a login leaves at the least, and where to look for leftovers.
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', TMPDIR: temporary, SHIMD_BUILD: buildDirectory };
  const options: RunOptions = { env, cwd: '/' };
  return new Program(process.execPath, [path.join(repository, 'scripts/quickstart.mjs')], options);
}

function expectNothingLeft(temporary: string): void {
  expect(readdirSync(temporary)).toEqual([]);
  expect(processesNaming(temporary)).toEqual([]);
}

test('the quick start shows a task and 200 at once, checks every exit, and leaves nothing', async () => {
  const temporary = makeDirectory();
  const { code, stdout, stderr } = await start(temporary).finished;
  expect({ code, stderr: stderr.replaceAll(/^ {2}(started|ended) *: .*\n/gm, '') }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('hello from a task');
  expect(stdout).toMatch(/0 +exit 0 +120 +120\n/);
  expect(stdout).toMatch(/3 +exit 3 +40 +40\n/);
  expect(stdout).toMatch(/137 +killed +40 +40\n/);
  expect(stdout).toMatch(/create to start +\d+(\.\d+)? +\d+(\.\d+)?\n/);
  expect(stdout).toMatch(/end to report +\d+(\.\d+)? +\d+(\.\d+)?\n/);
  expect(stdout).toMatch(/shims +[1-9]/);
  expect(stdout).toContain('Every exit was reported once');
  expect(stdout).toContain('What to try next');
  expectNothingLeft(temporary);
});

test('the quick start that is interrupted leaves nothing', async () => {
  const temporary = makeDirectory();
  const program = start(temporary);
  await waitFor(() => /200 tasks at once/.test(program.stdout), { budget: 30_000 });
  program.child.kill('SIGINT');
  const { code, stderr } = await program.finished;
  expect(code).toBe(130);
  expect(stderr).toContain('interrupted');
  expectNothingLeft(temporary);
});
