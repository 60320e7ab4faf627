#!/usr/bin/env node
// `npm test`: builds what is out of date, fetches the real runtimes (Debian), runs the suites, and says what was not run.
// SHIMD_BUILD=DIR tests a build that is there already; SHIMD_REQUIRE_RUNTIMES=1 fails unless real runtimes were tested.
// Arguments go on to vitest: `npm test -- --project unit`. Without a project it is all but `guarantees`, which take as long
// as the others together (`npm run test:guarantees`), and `clients`, which need Docker Engine (`npm run test:clients`).
import { spawn, spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory, fetchRuntimes } from './fetch-runtimes.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const results = path.join(cacheDirectory, `test-results-${process.pid}.json`);
/** Longest run of all suites, in milliseconds: a hang ends with a message instead of with the machine's patience. */
const patience = 25 * 60_000;
const required = process.env.SHIMD_REQUIRE_RUNTIMES === '1';

async function newestSource() {
  let at = 0;
  const consider = async (file) => {
    at = Math.max(at, (await stat(file)).mtimeMs);
  };
  for (const directory of ['src', 'workers']) {
    for (const entry of await readdir(path.join(root, directory), { withFileTypes: true, recursive: true })) {
      if (entry.isFile() && /\.(ts|proto)$/.test(entry.name)) await consider(path.join(entry.parentPath, entry.name));
    }
  }
  for (const file of [
    'tsconfig.json',
    'tsconfig.build.json',
    'package-lock.json',
    'scripts/build.mjs',
    'scripts/bundle.mjs',
    'scripts/generate-proto.mjs',
  ]) {
    await consider(path.join(root, file));
  }
  return at;
}

async function build() {
  if (process.env.SHIMD_BUILD) return;
  const built = await stat(path.join(root, 'dist/.complete')).catch(() => undefined);
  if (built && built.mtimeMs > (await newestSource())) return;
  console.log('building dist/');
  const done = spawnSync(process.execPath, [path.join(root, 'scripts/build.mjs')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (done.status !== 0) throw new Error('the build failed');
}

/** The real runtimes, or why there are none. Never throws: the other suites run all the same. */
async function runtimes() {
  if (process.getuid?.() !== 0) return { generations: [], reason: 'runc needs root, and this is another user' };
  try {
    const manifest = await fetchRuntimes({ engine: withEngine });
    if (manifest.missing.length > 0)
      return { ...manifest, generations: [], reason: `missing: ${manifest.missing.join(', ')}` };
    return manifest;
  } catch (error) {
    return { generations: [], reason: `they could not be fetched: ${error.stderr?.trim() || error.message}` };
  }
}

/** What vitest is to run: the suites of `npm test`, or those that are named. */
function selection() {
  const given = process.argv.slice(2);
  const named = given.some((argument) => /^--project(=|$)/.test(argument));
  return named ? given : [...['unit', 'integration', 'conformance'].flatMap((name) => ['--project', name]), ...given];
}

const withEngine = selection().some((argument) => /^(--project=)?clients$/.test(argument));

function runVitest(environment) {
  const vitest = path.join(path.dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
  const args = [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${results}`, ...selection()];
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...environment },
    // A group of its own, so that a hang can be ended with everything that vitest forked.
    detached: true,
  });
  const forward = (signal) => process.kill(0 - child.pid, signal);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => forward(signal));
  const timer = setTimeout(() => {
    console.error(`npm test: not done after ${patience / 60_000} minutes; ending it`);
    forward('SIGKILL');
  }, patience);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      resolve(code ?? (signal ? 128 : 1));
    });
  });
}

/** What the tests named `(generation)` came to. */
function countGeneration(report, name) {
  const counts = { passed: 0, failed: 0, pending: 0 };
  for (const file of report.testResults ?? []) {
    for (const one of file.assertionResults ?? []) {
      if (one.ancestorTitles.concat(one.title).some((title) => title.includes(`(${name})`))) {
        counts[one.status in counts ? one.status : 'pending'] += 1;
      }
    }
  }
  return counts;
}

async function main() {
  await build();
  const real = await runtimes();
  await mkdir(cacheDirectory, { recursive: true });
  const code = await runVitest({ SHIMD_REAL_RUNTIMES: real.generations.length > 0 ? '1' : '0' });
  const report = JSON.parse(await readFile(results, 'utf8').catch(() => '{}'));
  await rm(results, { force: true });

  let failed = code !== 0;
  console.log('\nreal runtimes:');
  if (real.generations.length === 0) console.log(`  NOT RUN: ${real.reason}`);
  for (const { name, version } of real.generations) {
    const counts = countGeneration(report, name);
    const skipped = counts.pending > 0 ? `, ${counts.pending} not run` : '';
    console.log(
      `  shim ${version} (${name}) with runc ${real.runc.version}: ${counts.passed} passed, ${counts.failed} failed${skipped}`,
    );
    if (required && counts.passed === 0) {
      console.log(`  nothing passed with shim ${version}, and SHIMD_REQUIRE_RUNTIMES=1 asks for it`);
      failed = true;
    }
  }
  if (withEngine && real.generations.length > 0) {
    const counts = countGeneration(report, 'engine');
    const said = `${counts.passed} passed, ${counts.failed} failed${counts.pending > 0 ? `, ${counts.pending} not run` : ''}`;
    console.log(
      real.engine ? `  Docker Engine ${real.engine.version}: ${said}` : '  Docker Engine NOT RUN: there is none',
    );
    if (required && !real.engine) failed = true;
  }
  if (required && real.generations.length === 0) {
    console.log('  SHIMD_REQUIRE_RUNTIMES=1 asks for them');
    failed = true;
  }
  const skipped = (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0);
  // A file that could not be loaded, or whose hook failed, has no failed test to count and is a failure all the same.
  const broken = (report.testResults ?? []).filter(
    (file) => file.status === 'failed' && file.assertionResults.every((one) => one.status !== 'failed'),
  );
  const failures = (report.numFailedTests ?? 0) + broken.length;
  console.log(`\n${report.numPassedTests ?? 0} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  if (failed && failures === 0) console.error('npm test: failed for another reason than a test; see above');
  process.exitCode = failed || failures > 0 ? 1 : 0;
}

try {
  await main();
} catch (error) {
  console.error(`npm test: ${error.message}`);
  process.exitCode = 1;
}
