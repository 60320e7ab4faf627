#!/usr/bin/env node
// `npm run chaos -- --minutes M --seed S [--placement P]`: a daemon under load while everything round it is broken, and a
// ledger outside it that knows how every process has to have ended. Exit code 0 only where nothing was lost, repeated,
// wrong or left. Needs root and the real runtimes (scripts/fetch-runtimes.mjs); without them the embedded runtime only.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Daemon } from './lib/daemon.mjs';
import { Faults, planFaults } from './lib/faults.mjs';
import { cgroupsNaming, memoryOf, mountsBelow, names, processesNaming, signal } from './lib/host.mjs';
import { Ledger } from './lib/ledger.mjs';
import { Life, planLife } from './lib/life.mjs';
import { Random } from './lib/random.mjs';
import { findRuntimes } from './lib/runtimes.mjs';

const repository = path.resolve(import.meta.dirname, '../..');
const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    placement: { type: 'string', default: 'auto' },
    build: { type: 'string', default: process.env.SHIMD_BUILD ?? 'dist' },
    width: { type: 'string', default: '6' },
    verbose: { type: 'boolean', default: false },
  },
});
const milliseconds = Number(options.minutes) * 60_000;
const build = path.resolve(repository, options.build);
if (!(milliseconds > 0) || !['auto', 'shared', 'per-task'].includes(options.placement)) {
  console.error('usage: npm run chaos -- --minutes M --seed S [--placement auto|shared|per-task]');
  process.exit(2);
}

/** State directory's size: small enough to be filled at once. */
const stateSize = '48m';
/** Rounds without faults at the end, and tasks in each: the last must not end larger than the third, when all is warm. */
const calmRounds = 6;
const calmLives = 60;
/** Compiled code and uncollected garbage still grow a little then; a leak grows with every round. */
const mostGrowth = 1.25;
/** How long everything may take to be gone at the end, in milliseconds. */
const settleBudget = 30_000;

const directory = mkdtempSync(path.join(tmpdir(), 'shimd-chaos-'));
const namespace = `chaos-${path
  .basename(directory)
  .slice(-6)
  .toLowerCase()
  .replaceAll(/[^a-z0-9]/g, 'x')}`;
const state = path.join(directory, 'state');
const root = path.join(directory, 'root');
const began = Date.now();

function log(text) {
  if (options.verbose) console.log(`${((Date.now() - began) / 1000).toFixed(1)} s  ${text}`);
}

function mountState() {
  mkdirSync(state);
  if (process.getuid() !== 0) return false;
  const options = ['-t', 'tmpfs', '-o', `size=${stateSize},mode=700`];
  const { status, stderr } = spawnSync('mount', [...options, 'tmpfs', state], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cannot mount a tmpfs: ${stderr}`);
  return true;
}

function leftovers(daemon, sockets) {
  const own = daemon?.pid;
  const found = new Map();
  for (const mark of [directory, namespace]) {
    for (const one of processesNaming(mark)) if (one.pid !== own) found.set(one.pid, one);
  }
  const bundles = [state, root].flatMap((top) => {
    const inside = path.join(top, namespace);
    return names(inside)
      .flatMap((name) => (name === '.shims' ? names(path.join(inside, name)).map((id) => `${name}/${id}`) : [name]))
      .map((name) => path.join(inside, name));
  });
  return {
    processes: [...found.values()],
    mounts: mountsBelow(state),
    cgroups: cgroupsNaming(namespace).filter((group) => path.dirname(group).includes(namespace)),
    bundles,
    sockets: [...sockets].filter((file) => existsSync(file)),
  };
}

function describe({ processes, mounts, cgroups, bundles, sockets }) {
  return [
    ...processes.map(({ pid, command }) => `process ${pid}: ${command.slice(0, 160)}`),
    ...mounts.map((point) => `mount ${point}`),
    ...cgroups.map((group) => `cgroup ${group}`),
    ...bundles.map((bundle) => `bundle ${bundle}`),
    ...sockets.map((socket) => `socket ${socket}`),
  ];
}

async function settled(daemon, sockets) {
  const end = Date.now() + settleBudget;
  for (;;) {
    const left = describe(leftovers(daemon, sockets));
    if (left.length === 0 || Date.now() > end) return left;
    await delay(200);
  }
}

let nextLife = 0;

/** Lives until `more` says no, `width` at a time. */
async function live(daemon, ledger, runtimes, more) {
  const lane = async () => {
    while (more()) {
      const number = nextLife++;
      const plan = planLife(new Random(options.seed, `life/${number}`), runtimes);
      const id = `life-${number}`;
      log(`${id} ${path.basename(path.dirname(plan.runtime.name))} ${plan.end} ${plan.code}`);
      const life = new Life({ daemon, ledger, plan, id, cgroup: `/shimd-${namespace}/${id}` });
      await life.run().catch((error) => ledger.violation(`stuck: ${error.message}`));
    }
  };
  await Promise.all(Array.from({ length: Number(options.width) }, lane));
}

/** Memory of the daemon in equal rounds without faults, in MB: the least of each, since garbage comes and goes. */
async function calm(daemon, ledger, runtimes) {
  const memory = [];
  for (let round = 0; round < calmRounds; round += 1) {
    const last = nextLife + calmLives;
    let least = Infinity;
    const sampling = setInterval(() => {
      least = Math.min(least, memoryOf(daemon.pid) || Infinity);
    }, 250);
    await live(daemon, ledger, runtimes, () => nextLife < last);
    clearInterval(sampling);
    memory.push(Math.round(least * 10) / 10);
  }
  const [, , warm] = memory;
  if (memory.at(-1) > warm * mostGrowth) ledger.violation(`memory grows: ${memory.join(', ')} MB in equal rounds`);
  return memory;
}

async function main() {
  const runtimes = findRuntimes(repository, build);
  const mounted = mountState();
  const ledger = new Ledger();
  const environment = { ...process.env, PATH: `${runtimes.path}:${process.env.PATH}` };
  const config = [
    'workers = 2',
    '[placement]',
    `mode = "${options.placement}"`,
    'idle_grace = "1s"',
    'tasks_per_shim_life = 60',
    '[deadlines]',
    'load = "3s"',
    'start = "20s"',
    'call = "20s"',
    '',
  ].join('\n');
  const daemon = await Daemon.open({ build, directory, root, state, namespace, config, environment });
  const faults = new Faults({ daemon, ledger, state });
  const plan = planFaults(new Random(options.seed, 'faults'), milliseconds).filter(
    ({ kind }) => mounted || kind !== 'disk',
  );
  let memory = [];
  let starts = 0;
  let left = [];
  const limit = setTimeout(
    () => {
      console.error('chaos: not over in time; giving up');
      process.exit(1);
    },
    milliseconds * 1.5 + 300_000,
  );
  try {
    await daemon.start();
    const following = daemon.followExits((exit) => ledger.event(exit));
    const end = Date.now() + milliseconds;
    const broken = faults.run(plan, log);
    await live(daemon, ledger, runtimes.list, () => Date.now() < end && ledger.violations.length < 20);
    await broken;
    log('calm');
    memory = await calm(daemon, ledger, runtimes.list);
    starts = daemon.starts;
    const { tasks } = await daemon.call(daemon.definitions.tasksDefinition.list, {});
    for (const { id, status } of tasks) ledger.violation(`${id}: listed at the end with status ${status}`);
    left = await settled(daemon, faults.sockets);
    daemon.close();
    await following;
    await daemon.kill('SIGTERM');
  } finally {
    clearTimeout(limit);
  }
  ledger.check();
  for (const what of left) ledger.violation(`left: ${what}`);
  const { counts, violations } = ledger;
  console.log(`chaos: seed ${options.seed}, ${options.minutes} min, placement ${options.placement}, ${runtimes.about}`);
  console.log(
    `  lives     ${nextLife}: ${counts.inits} inits and ${counts.execs} execs, ${counts.endedWithTheirShim} of them ended with their shim`,
  );
  console.log(
    `  events    ${counts.exitEvents} exits seen, ${counts.exitEventsOfOthers} of processes that no caller was told of`,
  );
  console.log(
    `  faults    ${Object.entries(faults.counts)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ')}; daemon started ${starts} times`,
  );
  console.log(`  memory    ${memory.join(', ')} MB after equal rounds`);
  console.log(
    `  ${violations.length === 0 ? 'nothing lost, repeated, wrong or left' : `${violations.length} violations:`}`,
  );
  for (const violation of violations.slice(0, 40)) console.log(`    ${violation}`);
  if (violations.length > 0) {
    console.log(`  the daemon's log: ${path.join(directory, 'daemon.log')}`);
    console.log(
      `  again: npm run chaos -- --minutes ${options.minutes} --seed ${options.seed} --placement ${options.placement}`,
    );
  }
  return violations.length === 0 ? 0 : 1;
}

/** Ends what a failed run left: exactly the processes that name its directory or namespace. */
function cleanUp(keepLog) {
  for (let round = 0; round < 3; round += 1) {
    const left = leftovers(undefined, []);
    for (const process of left.processes) signal(process, 'SIGKILL');
    for (const point of left.mounts) spawnSync('umount', ['-l', point]);
  }
  spawnSync('umount', ['-l', state]);
  for (const group of cgroupsNaming(namespace)) {
    try {
      rmdirSync(group);
    } catch {
      // Its processes are just ending.
    }
  }
  if (!keepLog && mountsBelow(directory).length === 0) rmSync(directory, { recursive: true, force: true });
}

for (const name of ['SIGINT', 'SIGTERM']) {
  process.once(name, () => {
    cleanUp(true);
    process.exit(1);
  });
}

let code = 1;
try {
  code = await main();
} catch (error) {
  console.error(`chaos: ${error.stack}`);
  const file = path.join(directory, 'daemon.log');
  if (existsSync(file)) console.error(readFileSync(file, 'utf8').slice(-2000));
} finally {
  cleanUp(code !== 0);
}
process.exit(code);
