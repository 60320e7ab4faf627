#!/usr/bin/env node
// `npm run scale -- --tasks N [--runtime runc|process]`: N tasks alive at once in one shimd, made by 16 callers, exec'd into, listed
// and killed all at once. Fails where an exit is lost, wrong or repeated. --plot runs 10, 100, … up to N and draws what they cost.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fetchRuntimes } from '../../scripts/fetch-runtimes.mjs';
import { loadApi } from './lib/client.mjs';
import { drawCosts } from './lib/cost-plot.mjs';
import { Daemon } from './lib/daemons.mjs';
import { short } from './lib/figures.mjs';
import { findPrograms } from './lib/host.mjs';
import { duringRun } from './lib/run.mjs';
import { runScale } from './lib/scale-run.mjs';
import { columns } from './lib/table.mjs';
import { containerRuntime, hostRuntime, Tasks } from './lib/tasks.mjs';

const repository = path.resolve(import.meta.dirname, '../..');
const usage = `usage: npm run scale -- [--tasks N] [--runtime runc|process] [--plot] [--build DIR] [--out DIR]
  N is 1000 by default; runc needs root, process (the embedded runtime) nobody's rights`;

function parse() {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  const { values } = parseArgs({
    options: { tasks: text, runtime: text, build: text, out: text, plot: flag, help: flag },
  });
  const tasks = Number(values.tasks ?? 1000);
  const runtime = String(values.runtime ?? 'runc');
  if (!Number.isInteger(tasks) || tasks < 1) throw new Error('--tasks takes a number from 1 on');
  if (!['runc', 'process'].includes(runtime)) throw new Error('--runtime takes runc or process');
  return { build: values.build, out: values.out, plot: values.plot, help: values.help, tasks, runtime };
}

/** What the host has to allow. A task is one process, or two while its shim looks after it. */
function checkHost({ tasks, runtime }) {
  const number = (file) => Number(readFileSync(file, 'utf8').trim().split(/\s+/)[0]);
  const limit = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 0);
  // A task of the embedded runtime is its shell and what that runs; runc's stay two processes for a moment.
  const needs = {
    pids: tasks * 2 + 1000,
    descriptors: (4 * tasks) / 100 + 1000,
    memory: tasks * (runtime === 'runc' ? 1.5 : 0.8) + 1000,
  };
  const has = {
    pids: number('/proc/sys/kernel/pid_max'),
    descriptors: limit,
    memory: Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) / 1024,
  };
  const words = `needs ${needs.pids} pids (pid_max ${has.pids}), about ${Math.ceil(needs.memory)} MB (available ${Math.round(has.memory)}), ${Math.ceil(needs.descriptors)} descriptors a process (limit ${has.descriptors})`;
  for (const what of Object.keys(needs)) if (has[what] < needs[what]) throw new Error(`${tasks} tasks: ${words}`);
  return words;
}

async function environmentOf(runtime, say) {
  const environment = { ...process.env };
  delete environment.NODE_OPTIONS;
  if (runtime === 'process') return { environment, about: 'embedded runtime' };
  const found = findPrograms(await fetchRuntimes({ say }), []);
  environment.PATH = `${path.dirname(found.runc)}:${environment.PATH}`;
  return { environment, found, about: found.about.replace(/^containerd and /, '') };
}

const say = (line) => console.error(line);

async function main(options, run) {
  say(checkHost(options));
  const build = path.resolve(repository, options.build ?? process.env.SHIMD_BUILD ?? 'dist');
  const { environment, found, about } = await environmentOf(options.runtime, say);
  const api = await loadApi(build);
  const counts = options.plot
    ? [10, 30, 100, 300, 1000, 3000, 10_000].filter((count) => count < options.tasks).concat(options.tasks)
    : [options.tasks];
  const runtime = found
    ? containerRuntime(found.shim, found.rootfs)
    : hostRuntime(path.join(build, 'bin/containerd-shim-process-v1'));
  const results = [];
  for (const count of counts) {
    const directory = path.join(run.directory, String(count));
    const namespace = `${run.mark}-${count}`;
    const daemon = new Daemon({ kind: 'shared', run, directory, namespace, build, api, environment });
    try {
      await daemon.start();
      const tasks = new Tasks(daemon.client, runtime, `${run.mark}/${count}`);
      results.push(await runScale({ daemon, tasks, count, say }));
    } finally {
      await daemon.close();
      rmSync(directory, { recursive: true, force: true });
    }
  }
  const heading = [
    'tasks',
    'create+start /s',
    'exec ms',
    'list ms',
    'all killed → all told ms',
    'daemon MB',
    'shims',
    'shims MB',
    'loop p99 ms',
    'lost',
    'wrong',
    'repeated',
  ];
  const rows = results.map((one) => [
    String(one.tasks),
    ...[one.createRate, one.exec, one.list, one.killed, one.daemonMemory].map(short),
    String(one.shims),
    ...[one.shimMemory, one.loopDelay].map(short),
    ...[one.lost, one.wrong, one.repeated].map(String),
  ]);
  console.log(columns([heading, ...rows]));
  const out = path.resolve(repository, options.out ?? '.cache/bench');
  mkdirSync(out, { recursive: true });
  writeFileSync(path.join(out, `scale-${options.runtime}.json`), `${JSON.stringify({ about, results }, null, 2)}\n`);
  if (options.plot) writeFileSync(path.join(out, `scale-${options.runtime}.svg`), drawCosts(results, about));
  const bad = results.filter(({ lost, wrong, repeated, loopDelay }) => lost + wrong + repeated > 0 || loopDelay > 50);
  for (const { tasks, lost, wrong, repeated, loopDelay } of bad)
    console.error(
      `${tasks} tasks: ${lost} exits lost, ${wrong} wrong, ${repeated} repeated; event loop p99 ${short(loopDelay)} ms (at most 50)`,
    );
  if (bad.some(({ lost, wrong, repeated }) => lost + wrong + repeated > 0)) process.exitCode = 1;
}

try {
  const options = parse();
  if (options.help) console.log(usage);
  else await duringRun('scale', say, (run) => main(options, run));
} catch (error) {
  console.error(`scale: ${error.message}\n${usage}`);
  process.exitCode = 1;
}
process.exit();
