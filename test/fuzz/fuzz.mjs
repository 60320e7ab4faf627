// A long run of test/integration/fuzz.test.ts: `npm run fuzz -- [--minutes M] [--seed S]`.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

const root = path.resolve(import.meta.dirname, '../..');
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
if (values.help || !(minutes > 0) || !Number.isSafeInteger(seed)) {
  console.log(
    'usage: npm run fuzz -- [--minutes M] [--seed S]    default: 5 minutes, a seed of its own, which it tells',
  );
  process.exit(values.help ? 0 : 2);
}

const build = spawnSync(process.execPath, [path.join(root, 'scripts/build.mjs')], { stdio: 'inherit' });
if (build.status !== 0) process.exit(1);
const vitest = path.join(path.dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
const run = spawnSync(
  process.execPath,
  [vitest, 'run', '--root', root, '--project', 'integration', 'test/integration/fuzz.test.ts'],
  {
    stdio: 'inherit',
    env: { ...process.env, SHIMD_FUZZ_SECONDS: String(Math.round(minutes * 60)), SHIMD_FUZZ_SEED: String(seed) },
  },
);
if (run.status !== 0)
  console.error(`fuzz: the same choices again with: npm run fuzz -- --minutes ${minutes} --seed ${seed}`);
process.exit(run.status ?? 1);
