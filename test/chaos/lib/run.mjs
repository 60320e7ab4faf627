import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon } from './daemon.mjs';
import { Faults, planFaults } from './faults.mjs';
import { descriptorsOf, memoryOf } from './host.mjs';
import { Ledger } from './ledger.mjs';
import { Life, planLife } from './life.mjs';
import { persist } from './persist.mjs';
import { Random } from './random.mjs';
import { recordsLeft } from './records.mjs';
import { findRuntimes } from './runtimes.mjs';
import { SandboxLife } from './sandbox-life.mjs';
import { isSandboxLife, planSandbox } from './sandbox-plan.mjs';

/** Rounds without faults at the end, after one that warms up, in two halves. The second must not be larger than the first. */
const calmRounds = 4;
/**
 * The daemon collects its garbage once it has been idle for some seconds. Before that, its heap is as large as the burst
 * made it, by chance up to half as large again. Milliseconds that it has to have kept its size, and the longest wait.
 */
const keptFor = 6_000;
const longestSettling = 20_000;
const lookEvery = 250;
/** MB that are no change. */
const noise = 0.3;
/** With fewer containers in a round it is not warm at all, and nothing is judged. */
const leastCalm = 30;
/** Compiled code still grows a little then, some percent; a leak grows with every round. */
const mostGrowth = 1.15;
/** Descriptors come and go with shims and clients; one that is lost with each task shows in 60 tasks. */
const mostDescriptors = 20;
/** Longest that a task which ends by itself runs, in milliseconds: with faults, and in the rounds without. */
const longestRun = 1500;
const longestCalmRun = 150;
/** Nothing new begins after so many: the run has failed. */
const mostViolations = 20;

const configuration = (placement) =>
  [
    'workers = 2',
    '[placement]',
    `mode = "${placement}"`,
    'idle_grace = "1s"',
    'tasks_per_shim_life = 60',
    '[deadlines]',
    'load = "3s"',
    'start = "20s"',
    'call = "20s"',
    '',
  ].join('\n');

/** One seeded run on a ground that was opened. Answers what it came to; whoever called cleans the ground up. */
export async function run({ options, placement, repository, ground, log }) {
  const one = new Run({ options, placement, repository, ground, log });
  return one.whole();
}

class Run {
  #options;
  #placement;
  #ground;
  #log;
  #runtimes;
  #ledger = new Ledger();
  #daemon;
  #nextLife = 0;
  /** Containers of the lives so far, those in sandboxes too. */
  #containers = 0;
  #sandboxes = [];

  constructor({ options, placement, repository, ground, log }) {
    this.#options = options;
    this.#placement = placement;
    this.#ground = ground;
    this.#log = log;
    this.#runtimes = findRuntimes(repository, options.build);
  }

  async whole() {
    const { seed, minutes, milliseconds, build } = this.#options;
    const { directory, root, state, namespace } = this.#ground;
    const ledger = this.#ledger;
    const environment = { ...process.env, PATH: `${this.#runtimes.path}:${process.env.PATH}` };
    const config = configuration(this.#placement);
    const daemon = await Daemon.open({ build, directory, root, state, namespace, config, environment });
    this.#daemon = daemon;
    const faults = new Faults({ daemon, ledger, state, namespace });
    const plan = planFaults(new Random(seed, 'faults'), milliseconds).filter(
      ({ kind }) => this.#ground.isMounted || kind !== 'disk',
    );
    await daemon.start();
    const following = Promise.all([daemon.followExits(ledger), daemon.followLog(ledger)]);
    const end = Date.now() + milliseconds;
    const broken = faults.run(plan, this.#log);
    await this.#live(longestRun, () => Date.now() < end && ledger.violations.length < mostViolations);
    await broken;
    this.#log('calm');
    const rounds = await this.#calm();
    const starts = daemon.starts;
    await this.#checkRecords('at the end');
    this.#log('settle');
    const left = await this.#ground.settled({ daemon: daemon.pid, sockets: faults.sockets });
    for (const what of left) ledger.violation(`left: ${what}`);
    await daemon.kill('SIGTERM');
    await daemon.start();
    await this.#checkRecords('after a restart');
    await daemon.finishLog(ledger);
    daemon.close();
    await following;
    await daemon.kill('SIGTERM');
    ledger.check();
    return {
      seed,
      minutes,
      placement: this.#placement,
      runtimes: this.#runtimes.about,
      containers: this.#containers,
      ...ledger.counts,
      faults: faults.counts,
      daemonStarts: starts,
      ...rounds,
      violations: ledger.violations,
      log: path.join(directory, 'daemon.log'),
    };
  }

  async #checkRecords(when) {
    const left = await persist('records', () => recordsLeft(this.#daemon, this.#sandboxes));
    for (const what of left) this.#ledger.violation(`${what}: known ${when}`);
  }

  /** Lives until `more` says no, so many at a time as the options say. */
  async #live(longest, more) {
    const lane = async () => {
      while (more()) {
        const life = this.#begin(this.#nextLife++, longest);
        await life.run().catch((error) => this.#ledger.violation(`stuck: ${error.message}`));
      }
    };
    await Promise.all(Array.from({ length: this.#options.width }, lane));
  }

  /** The life of this number: a container, or a sandbox with some. */
  #begin(number, longest) {
    const { seed } = this.#options;
    const { list } = this.#runtimes;
    const common = { daemon: this.#daemon, ledger: this.#ledger };
    const log = (id, { runtime, end, code }) =>
      this.#log(`${id} ${path.basename(path.dirname(runtime.name))} ${end} ${code}`);
    if (isSandboxLife(new Random(seed, `kind/${number}`), list)) {
      const plan = planSandbox(new Random(seed, `sandbox/${number}`), list, longest);
      const id = `pod-${number}`;
      log(id, plan);
      this.#sandboxes.push(id);
      this.#containers += plan.members.length;
      return new SandboxLife({ ...common, plan, id, ground: this.#ground });
    }
    const plan = planLife(new Random(seed, `life/${number}`), list, longest);
    const id = `life-${number}`;
    log(id, plan);
    this.#containers += 1;
    return new Life({ ...common, plan, id, cgroup: this.#ground.cgroupOf(id) });
  }

  /** Memory, in MB, and descriptors of the daemon after equal rounds without faults. */
  async #calm() {
    const memory = [];
    const descriptors = [];
    if (this.#options.calm === 0) return { memory, descriptors };
    for (let round = 0; round <= calmRounds; round += 1) {
      const last = this.#nextLife + this.#options.calm;
      await this.#live(longestCalmRun, () => this.#nextLife < last);
      if (round === 0) continue;
      const settled = await this.#settled();
      memory.push(settled.memory);
      descriptors.push(settled.descriptors);
    }
    if (this.#options.calm < leastCalm) return { memory, descriptors };
    // The least of each half: what a leak has taken is never given back.
    const [early, late] = halves(memory);
    if (late > early * mostGrowth) {
      this.#ledger.violation(`memory grows: ${memory.join(', ')} MB in equal rounds`);
    }
    const [few, more] = halves(descriptors);
    if (more > few + mostDescriptors) {
      this.#ledger.violation(`descriptors grow: ${descriptors.join(', ')} in equal rounds`);
    }
    return { memory, descriptors };
  }

  /** The least memory, in MB, and descriptors that the daemon comes down to when it has nothing to do. */
  async #settled() {
    const end = Date.now() + longestSettling;
    let [memory, descriptors] = [Infinity, Infinity];
    let changed = Date.now();
    while (Date.now() < Math.min(end, changed + keptFor)) {
      const now = memoryOf(this.#daemon.pid) || Infinity;
      if (now < memory - noise) changed = Date.now();
      memory = Math.min(memory, now);
      descriptors = Math.min(descriptors, descriptorsOf(this.#daemon.pid) || Infinity);
      await sleep(lookEvery);
    }
    return { memory: Math.round(memory * 10) / 10, descriptors };
  }
}

function halves(numbers) {
  const middle = numbers.length / 2;
  return [Math.min(...numbers.slice(0, middle)), Math.min(...numbers.slice(middle))];
}
