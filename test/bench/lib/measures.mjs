import { setTimeout as delay } from 'node:timers/promises';
import { rssOf } from './processes.mjs';
import { inParallel, quantile, timed } from './statistics.mjs';
import { programs } from './tasks.mjs';

/** How long an idle daemon is left alone before it is looked at, and how long it is looked at, in milliseconds. */
const usualSettling = 12_000;

/** Lifecycles at several widths. The daemon is warm; its containers `b0`… are there. */
export async function measureLifecycles({ daemon, tasks }, sizes) {
  const cpu = daemon.cpu();
  const alone = await inParallel(1, sizes.alone, () => tasks.lifecycle('b0'));
  const used = daemon.cpu() - cpu;
  const rate = async (width, count) => {
    const took = await inParallel(width, count, (_, worker) => tasks.lifecycle(`b${worker}`));
    return (count / took) * 1000;
  };
  const callers8 = await rate(8, sizes.wide);
  const callers32 = await rate(32, sizes.wide);
  const container = await inParallel(1, sizes.alone, async (turn) => {
    await tasks.makeContainer(`record${turn}`, programs.brief);
    await tasks.dropContainer(`record${turn}`);
  });
  return {
    lifecycle: alone / sizes.alone,
    lifecycleCpu: used / sizes.alone,
    callers8,
    callers32,
    container: container / sizes.alone,
  };
}

async function measureEvents(daemon, ids, pids, signal) {
  const ends = new Map();
  const latencies = [];
  const stop = await daemon.client.onExit(({ containerId }, at) => ends.get(containerId)?.(at));
  for (const id of ids) {
    const ended = new Promise((resolve) => ends.set(id, resolve));
    const began = performance.now();
    process.kill(pids.get(id), signal);
    latencies.push((await ended) - began);
  }
  stop();
  return latencies;
}

async function measureReads({ tasks }, ids, sizes) {
  const get = (id) => tasks.client.call(tasks.tasks.get, { containerId: id, execId: '' });
  const list = () => tasks.client.call(tasks.tasks.list, { filter: '' });
  const each = async (count, call) => {
    const all = [];
    for (let turn = 0; turn < count; turn += 1) all.push(await timed(() => call(ids[turn % ids.length])));
    return quantile(all.slice(Math.floor(count / 5)), 0.5);
  };
  await inParallel(16, sizes.reads, (turn) => get(ids[turn % ids.length]));
  const took = await inParallel(16, sizes.reads, (turn) => get(ids[turn % ids.length]));
  return {
    get: await each(sizes.reads / 4, get),
    getCallers: (sizes.reads / took) * 1000,
    list: await each(sizes.lists, list),
  };
}

async function measureIdle(daemon, { idle: milliseconds, settling = usualSettling }) {
  await delay(settling);
  const { all } = daemon.memory();
  const rss = rssOf(daemon.pid);
  const cpu = daemon.cpu();
  await delay(milliseconds);
  return { memory: all, rss, cpu: ((daemon.cpu() - cpu) / milliseconds) * 100 };
}

/** A new daemon from its start to its end, with tasks that stay. It is the only one that runs. */
export async function measurePopulation({ daemon, tasks }, sizes) {
  await daemon.start();
  const fresh = await measureIdle(daemon, sizes);
  const ids = Array.from({ length: sizes.population }, (_, index) => `p${index}`);
  const pids = new Map();
  const grow = (from, to) =>
    inParallel(8, to - from, async (turn) => {
      const id = ids[from + turn];
      pids.set(id, await tasks.run(id, programs.polite));
    });
  const few = sizes.population / 4;
  const many = sizes.population / 2;
  await grow(0, few);
  await delay(sizes.rest);
  const before = daemon.memory();
  await grow(few, sizes.population);
  await delay(sizes.rest);
  const after = daemon.memory();
  await tasks.clear(ids.slice(many));
  const rest = ids.slice(0, many);
  const reads = await measureReads({ tasks }, rest, sizes);
  const exec = await inParallel(1, sizes.execs, (turn) => tasks.exec(rest[turn], 'e', programs.brief));
  const restarts = [];
  for (let turn = 0; turn < sizes.restarts; turn += 1) {
    await daemon.end('SIGKILL');
    restarts.push(await daemon.start());
    const { tasks: listed } = await daemon.client.call(tasks.tasks.list, { filter: '' });
    if (listed.length !== many) throw new Error(`${daemon.kind} lists ${listed.length} of ${many} tasks after a kill`);
  }
  const killed = await measureEvents(daemon, rest.slice(0, sizes.killed), pids, 'SIGKILL');
  const ended = await measureEvents(daemon, rest.slice(sizes.killed), pids, 'SIGTERM');
  await inParallel(8, rest.length, async (turn) => {
    await tasks.delete(rest[turn]);
    await tasks.dropContainer(rest[turn]);
  });
  const idle = await measureIdle(daemon, sizes);
  return {
    taskMemory: (after.all - before.all) / (sizes.population - few),
    idleMemory: fresh.memory,
    idleMemoryRss: fresh.rss,
    idleMemoryAfter: idle.memory,
    idleCpu: idle.cpu,
    ...reads,
    exec: exec / sizes.execs,
    restart: quantile(restarts, 0.5),
    restarts,
    exitEvent: quantile(ended, 0.5),
    exitEventLate: quantile(ended, 0.99),
    killedEvent: quantile(killed, 0.5),
    shims: after.shims,
    memory: { few: before, many: after },
  };
}
