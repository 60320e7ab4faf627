#!/usr/bin/env node
// `npm run chaos`: a daemon under load while everything round it is broken, and a ledger outside it that knows how every
// process has to have ended. `--help` says the rest.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { Ground } from './lib/ground.mjs';
import { parseOptions, UsageError, usage } from './lib/options.mjs';
import { hasPassed, lastLine, table } from './lib/report.mjs';
import { run } from './lib/run.mjs';

const repository = path.resolve(import.meta.dirname, '../..');

/** What the command line asks for; undefined where it is wrong, and was told so. */
function options() {
  try {
    return parseOptions(process.argv.slice(2), repository);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`chaos: ${error.message}\nSee npm run chaos -- --help`);
    return undefined;
  }
}

/** One placement, in this process. */
async function here(chosen, placement) {
  const ground = new Ground();
  const began = Date.now();
  const log = (text) => {
    if (chosen.verbose) console.error(`${((Date.now() - began) / 1000).toFixed(1)} s  ${placement}: ${text}`);
  };
  for (const name of ['SIGINT', 'SIGTERM']) {
    process.once(name, () => {
      ground.cleanUp({ keepLog: true });
      process.exit(1);
    });
  }
  const about = { seed: chosen.seed, minutes: chosen.minutes, placement };
  let result = { ...about, error: 'it was not over in time' };
  let limit;
  const tooLong = new Promise((resolve) => {
    limit = setTimeout(resolve, chosen.milliseconds * 2 + 600_000);
  });
  try {
    ground.open();
    const whole = run({ options: chosen, placement, repository, ground, log });
    result = (await Promise.race([whole, tooLong])) ?? result;
  } catch (error) {
    result = { ...about, error: error.stack };
  } finally {
    clearTimeout(limit);
    ground.cleanUp({ keepLog: !hasPassed(result) });
  }
  return result;
}

/** Several placements side by side, a process for each: what one of them does must not be taken for another's doing. */
async function beside(chosen, placement) {
  const args = ['--minutes', chosen.minutes, '--seed', chosen.seed, '--placement', placement, '--json'];
  args.push('--width', chosen.width, '--calm', chosen.calm, '--build', chosen.build);
  if (chosen.verbose) args.push('--verbose');
  const child = spawn(process.execPath, [import.meta.filename, ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => child.kill(name));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  try {
    const [result] = JSON.parse(output).runs;
    return result;
  } catch {
    return { seed: chosen.seed, minutes: chosen.minutes, placement, error: `it ended without a summary: ${output}` };
  }
}

const chosen = options();
if (chosen === undefined) process.exit(2);
if (chosen.help) {
  console.log(usage);
  process.exit(0);
}
const [only, ...others] = chosen.placements;
const results =
  others.length === 0
    ? [await here(chosen, only)]
    : await Promise.all(chosen.placements.map((placement) => beside(chosen, placement)));
if (chosen.json) console.log(JSON.stringify({ runs: results }, undefined, 2));
else console.log(`${table(results)}\n\n${lastLine(results)}`);
process.exit(results.every(hasPassed) ? 0 : 1);
