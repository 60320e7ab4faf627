import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Daemon } from '../helpers/daemon.ts';
import { type Finished, mainProgram, runProgram } from '../helpers/program.ts';
import { makeDirectory } from '../helpers/test-run.ts';

/** Runs `shimd serve`, which is expected to end by itself. */
function serve(directory: string, options: Readonly<Record<string, string>> = {}): Promise<Finished> {
  const all = { root: path.join(directory, 'root'), state: path.join(directory, 'state'), ...options };
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  return runProgram(process.execPath, [mainProgram, 'serve', ...args], { timeout: 15_000 });
}

/** A refusal: an exit code that says so, and one line on stderr, besides log lines, that names what is wrong. */
function expectRefusal({ code, stdout, stderr }: Finished, ...parts: (string | RegExp)[]): void {
  expect(code).toBeGreaterThan(0);
  expect(code).toBeLessThan(128);
  expect(stdout).not.toContain('ready');
  const lines = stderr.split('\n').filter((line) => line.startsWith('shimd: '));
  expect(lines).toHaveLength(1);
  for (const part of parts) expect(lines[0]).toMatch(part);
  expect(stderr).not.toMatch(/\n {4}at /);
}

describe('shimd serve refuses, with one line that says why,', () => {
  let directory: string;

  beforeEach(() => {
    directory = makeDirectory();
  });

  test('a socket path over the limit of the platform', async () => {
    const address = path.join(directory, 'x'.repeat(120), 'shimd.sock');
    expectRefusal(await serve(directory, { address }), /10[78]/, 'x'.repeat(120));
  });

  test('a state directory that is a file', async () => {
    writeFileSync(path.join(directory, 'state'), '');
    expectRefusal(await serve(directory), path.join(directory, 'state'));
  });

  test('a metadata database that is none of its own, and leaves it as it is', async () => {
    const file = path.join(directory, 'root/.metadata/metadata.mdb');
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    const foreign = Buffer.alloc(32_768, 'SQLite format 3\0');
    writeFileSync(file, foreign);
    expectRefusal(await serve(directory), file);
    expect(readFileSync(file).equals(foreign)).toBe(true);
  });

  test('a metadata database that was cut off', async () => {
    const daemon = await Daemon.start();
    await daemon.stop();
    const file = path.join(daemon.root, '.metadata/metadata.mdb');
    writeFileSync(file, readFileSync(file).subarray(0, 5000));
    expectRefusal(await serve(directory, { root: daemon.root }), file);
    await daemon[Symbol.asyncDispose]();
  });

  test('a configuration with an unknown key, naming file, line and key', async () => {
    const config = path.join(directory, 'config.toml');
    writeFileSync(config, 'workers = 2\nplacment = "shared"\n');
    const result = await serve(directory, { config });
    expectRefusal(result, `${config}:2`, 'placment');
    expect(result.code).toBe(2);
  });

  test('a configuration with a value that is out of bounds', async () => {
    const config = path.join(directory, 'config.toml');
    writeFileSync(config, '\nworkers = 0\n');
    expectRefusal(await serve(directory, { config }), `${config}:2`, 'workers');
  });

  test('a configuration file that is not there', async () => {
    const config = path.join(directory, 'none.toml');
    expectRefusal(await serve(directory, { config }), config);
  });

  test('the state of a daemon that runs, and names its pid', async () => {
    await using daemon = await Daemon.start();
    const result = await runProgram(process.execPath, [mainProgram, ...daemon.serveArguments]);
    expectRefusal(result, String(daemon.pid));
    expect(result.code).toBe(3);
    expect((await daemon.shimd(['version'])).code).toBe(0);
  });
});

describe.skipIf(process.getuid?.() !== 0)('shimd serve refuses, with one line that says why,', () => {
  let directory: string;
  let mounted: string[];

  beforeEach(() => {
    directory = makeDirectory();
    mounted = [];
  });

  afterEach(() => {
    for (const point of mounted) spawnSync('umount', ['-l', point]);
  });

  function mountTmpfs(name: string, options: string): string {
    const point = path.join(directory, name);
    mkdirSync(point);
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', point], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`cannot mount a tmpfs: ${stderr}`);
    mounted.push(point);
    return point;
  }

  test('a state directory that cannot be written to', async () => {
    const state = mountTmpfs('state', 'ro,mode=711');
    expectRefusal(await serve(directory), state);
  });

  test('a root directory that cannot be written to', async () => {
    const root = mountTmpfs('root', 'ro,mode=700');
    expectRefusal(await serve(directory), root);
  });

  test('a root directory without room for its database', async () => {
    const root = mountTmpfs('root', 'size=64k,mode=700');
    expectRefusal(await serve(directory), root, /space|full/);
  });
});
