import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { containerdOf } from '../helpers/containerd.ts';
import { processesNaming } from '../helpers/leftovers.ts';
import { runProgram } from '../helpers/program.ts';
import { generations, repository } from '../helpers/runtimes.ts';
import { makeDirectory } from '../helpers/test-run.ts';

const newest = generations.at(-1);
const able = newest !== undefined && containerdOf(newest) !== undefined;

describe.skipIf(!able)('the benchmark beside containerd', () => {
  test('measures every figure of both daemons, writes table, figures and picture, and leaves nothing', async () => {
    const out = makeDirectory();
    const script = path.join(repository, 'test/bench/bench.mjs');
    const result = await runProgram(process.execPath, [script, '--smoke', '--out', out], {
      timeout: 110_000,
      env: { ...process.env, TMPDIR: out },
    });
    expect(result.stderr).not.toContain('bench:');
    expect(result.code).toBe(0);
    expect(result.stdout).toContain('Tasks.List of 100');
    // Not a terminal: no colours.
    expect(result.stdout).not.toContain('\u001B');
    const { rows } = JSON.parse(readFileSync(path.join(out, 'bench.json'), 'utf8')) as {
      readonly rows: readonly { readonly id: string; readonly subjects: Readonly<Record<string, unknown>> }[];
    };
    expect(rows.length).toBeGreaterThan(12);
    for (const { subjects } of rows) expect(Object.keys(subjects)).toEqual(['containerd', 'shared', 'per-task']);
    expect(readFileSync(path.join(out, 'bench.svg'), 'utf8')).toMatch(/^<svg [^]*<\/svg>\n$/);
    expect(existsSync(path.join(out, 'bench.txt'))).toBe(true);
    expect(processesNaming(out)).toEqual([]);
  });
});
