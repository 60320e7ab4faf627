#!/usr/bin/env node
// `npm run bench [-- --quick]`: shimd beside containerd, with the same shim, runc, container and client. Needs root and Debian
// (scripts/fetch-runtimes.mjs gets the programs). Prints a table; writes it, the figures (JSON) and a picture (SVG) into --out.
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fetchRuntimes } from '../../scripts/fetch-runtimes.mjs';
import { loadApi } from './lib/client.mjs';
import { Daemon } from './lib/daemons.mjs';
import { findPrograms } from './lib/host.mjs';
import { measureLifecycles, measurePopulation } from './lib/measures.mjs';
import { drawRatios } from './lib/picture.mjs';
import { duringRun } from './lib/run.mjs';
import { inParallel } from './lib/statistics.mjs';
import { summarize } from './lib/summary.mjs';
import { formatShortcomings, formatTable, painter } from './lib/table.mjs';
import { containerRuntime, programs, Tasks } from './lib/tasks.mjs';

const repository = path.resolve(import.meta.dirname, '../..');
const kinds = ['containerd', 'shared', 'per-task'];
const usage = `usage: npm run bench -- [options]
  --quick               fewer and smaller repetitions, under three minutes
  --smoke               next to nothing of each: that it works, not how fast
  --only KIND,…         of containerd, shared, per-task; default all
  --skip PART,…         of lifecycles, population
  --repetitions N       default 5, quick 3
  --settings TOML       lines for shimd's configuration, in [placement]
  --node-arguments A,…  arguments of the daemon's Node, such as --cpu-prof
  --build DIR           a build of shimd, default dist
  --out DIR             where the results go, default .cache/bench`;

const full = { alone: 40, wide: 160, population: 200, rest: 3000, reads: 8000, lists: 60, execs: 30, restarts: 3 };
const sizes = {
  full: { ...full, killed: 10, idle: 10_000, repetitions: 5, populations: 3 },
  quick: {
    ...full,
    alone: 15,
    wide: 64,
    reads: 4000,
    lists: 30,
    execs: 10,
    restarts: 1,
    killed: 5,
    idle: 3000,
    repetitions: 3,
    populations: 1,
  },
  smoke: {
    alone: 2,
    wide: 8,
    population: 8,
    rest: 0,
    reads: 80,
    lists: 5,
    execs: 2,
    restarts: 1,
    killed: 1,
    idle: 200,
    settling: 0,
    repetitions: 1,
    populations: 1,
  },
};

function parse() {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  const options = {
    quick: flag,
    smoke: flag,
    help: flag,
    only: text,
    skip: text,
    repetitions: text,
    settings: text,
    build: text,
    out: text,
    'node-arguments': text,
  };
  const { values } = parseArgs({ options });
  const only = values.only?.split(',') ?? kinds;
  if (only.some((kind) => !kinds.includes(kind))) throw new Error(`--only takes ${kinds.join(', ')}`);
  const size = { ...sizes[values.smoke ? 'smoke' : values.quick ? 'quick' : 'full'] };
  if (values.repetitions) size.repetitions = size.populations = Number(values.repetitions);
  if (!(size.repetitions >= 1)) throw new Error('--repetitions takes a number from 1 on');
  return { ...values, only, skip: values.skip?.split(',') ?? [], size };
}

function parseOrExit() {
  try {
    const parsed = parse();
    if (!parsed.help) return parsed;
    console.log(usage);
    return process.exit(0);
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    return process.exit(2);
  }
}

const options = parseOrExit();
const { size } = options;
const say = (line) => console.error(line);

async function measureAll(subjectOf) {
  const repetitions = Object.fromEntries(options.only.map((kind) => [kind, []]));
  // Who is first in a repetition changes from one to the next.
  const turns = (count) =>
    Array.from({ length: count }, (_, turn) =>
      options.only.map((_, at) => options.only[(at + turn) % options.only.length]),
    );
  const note = (kind, turn, figures) => {
    repetitions[kind][turn] = { ...repetitions[kind][turn], ...figures };
  };
  if (!options.skip.includes('lifecycles')) {
    const subjects = Object.fromEntries(options.only.map((kind) => [kind, subjectOf(kind, 'lifecycles')]));
    try {
      for (const { daemon, tasks } of Object.values(subjects)) {
        await daemon.start();
        for (let at = 0; at < 32; at += 1) await tasks.makeContainer(`b${at}`, programs.brief);
        await inParallel(4, Math.min(16, size.wide), (_, worker) => tasks.lifecycle(`b${worker}`));
      }
      for (const [turn, order] of turns(size.repetitions).entries()) {
        say(`lifecycles, repetition ${turn + 1} of ${size.repetitions}`);
        for (const kind of order) note(kind, turn, await measureLifecycles(subjects[kind], size));
      }
    } finally {
      for (const { daemon } of Object.values(subjects)) await daemon.close();
    }
  }
  if (!options.skip.includes('population')) {
    for (const [turn, order] of turns(size.populations).entries()) {
      for (const kind of order) {
        say(`${size.population} tasks in ${kind}, repetition ${turn + 1} of ${size.populations}`);
        const subject = subjectOf(kind, `population${turn}`);
        try {
          note(kind, turn, await measurePopulation(subject, size));
        } finally {
          await subject.daemon.close();
        }
      }
    }
  }
  return repetitions;
}

async function main(run) {
  const manifest = await fetchRuntimes({ say });
  const found = findPrograms(manifest, options.only);
  const build = path.resolve(repository, options.build ?? process.env.SHIMD_BUILD ?? 'dist');
  const api = await loadApi(build);
  const environment = { ...process.env, PATH: `${path.dirname(found.runc)}:${process.env.PATH}` };
  delete environment.NODE_OPTIONS;
  const runtime = containerRuntime(found.shim, found.rootfs);
  let turn = 0;
  const subjectOf = (kind, part) => {
    turn += 1;
    const daemon = new Daemon({
      kind,
      run,
      directory: path.join(run.directory, `${turn}`),
      namespace: `${run.mark}-${turn}`,
      program: found.containerd,
      build,
      api,
      environment,
      settings: options.settings,
      nodeArguments: options['node-arguments']?.split(',') ?? [],
    });
    return { daemon, tasks: new Tasks(daemon.client, runtime, `${run.mark}/${part}-${kind}`) };
  };
  const about = `${found.about}; ${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
  const began = Date.now();
  const repetitions = await measureAll(subjectOf);
  const rows = summarize(repetitions);
  const seconds = Math.round((Date.now() - began) / 1000);
  const print = (paint) => `${formatTable(rows, paint)}\n\n${formatShortcomings(rows)}\n\n${about}; ${seconds} s`;
  const out = path.resolve(repository, options.out ?? '.cache/bench');
  mkdirSync(out, { recursive: true });
  writeFileSync(
    path.join(out, 'bench.json'),
    `${JSON.stringify({ about, seconds, sizes: size, rows, repetitions }, null, 2)}\n`,
  );
  writeFileSync(path.join(out, 'bench.txt'), `${print((_, text) => text)}\n`);
  writeFileSync(path.join(out, 'bench.svg'), drawRatios(rows, about));
  console.log(print(painter(process.stdout)));
  say(`written to ${path.relative(process.cwd(), out) || '.'}: bench.txt, bench.json, bench.svg`);
}

try {
  await duringRun('bench', say, main);
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
process.exit();
