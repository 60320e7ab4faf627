import { setTimeout as delay } from 'node:timers/promises';
import { inParallel, quantile, timed } from './statistics.mjs';
import { programs } from './tasks.mjs';

/** Tasks that get an exec while all are alive. */
const execs = 16;
/** How long the last exits may take to be told, in milliseconds. */
const patience = 120_000;

/** Every exit that is told, by task and process, with how often. */
class ExitLedger {
  told = new Map();
  #listener;

  note({ containerId, id, exitStatus }) {
    const exec = id === containerId ? '' : id;
    const key = `${containerId}/${exec}`;
    const known = this.told.get(key) ?? { status: exitStatus, times: 0 };
    this.told.set(key, { ...known, times: known.times + 1 });
    this.#listener?.();
  }

  /** Resolves when `count` exits were told, or time is up. */
  async until(count) {
    const all = new Promise((resolve) => {
      this.#listener = () => this.told.size >= count && resolve();
      this.#listener();
    });
    await Promise.race([all, delay(patience, undefined, { ref: false })]);
  }
}

/**
 * `count` tasks from their create to their delete, 16 at a time, all alive together in the middle. Answers what it took and
 * which exits were lost, wrong or told again.
 */
export async function runScale({ daemon, tasks, count, say }) {
  const ids = Array.from({ length: count }, (_, index) => `s${index}`);
  const ledger = new ExitLedger();
  const stop = await daemon.client.onExit((exit) => ledger.note(exit));
  const admin = daemon.client.api.adminDefinition;
  const cpu = daemon.cpu();

  const created = await inParallel(16, count, async (turn) => {
    await tasks.run(ids[turn], programs.endless);
    if ((turn + 1) % 500 === 0) say(`${turn + 1} tasks run`);
  });
  const createCpu = daemon.cpu() - cpu;
  const chosen = ids.filter((_, index) => index % Math.ceil(count / execs) === 0);
  const execTimes = [];
  for (const id of chosen) execTimes.push(await timed(() => tasks.exec(id, 'probe', programs.brief)));
  const list = () => daemon.client.call(tasks.tasks.list, { filter: '' });
  const listTimes = [];
  for (let turn = 0; turn < 10; turn += 1) listTimes.push(await timed(list));
  const listed = (await list()).tasks.length;
  if (listed !== count) throw new Error(`${listed} tasks are listed instead of ${count}`);
  const memory = daemon.memory();

  say(`${count} tasks are alive; killing all at once`);
  const began = performance.now();
  // One that is answered too late, or of a task that has just ended, is not lost: the exits say what became of it.
  const kills = Promise.allSettled(ids.map((id) => tasks.kill(id)));
  await ledger.until(count + chosen.length);
  const killed = performance.now() - began;
  const refused = (await kills).filter(({ status }) => status === 'rejected');
  if (refused.length > 0) say(`${refused.length} kills failed, the first with: ${refused[0].reason.message}`);
  const deleted = await inParallel(16, count, async (turn) => {
    await tasks.delete(ids[turn]);
    await tasks.dropContainer(ids[turn]);
  });
  // One window more, so that the end is in it.
  await delay(200);
  const { main } = await daemon.client.call(admin.listSlots, {});
  stop();

  const expected = [...ids.map((id) => [`${id}/`, 137]), ...chosen.map((id) => [`${id}/probe`, 0])];
  const found = expected.map(([key, status]) => ({ status, told: ledger.told.get(key) }));
  return {
    tasks: count,
    createRate: (count / created) * 1000,
    createCpu: createCpu / count,
    exec: quantile(execTimes, 0.5),
    list: quantile(listTimes, 0.5),
    killed,
    deleteRate: (count / deleted) * 1000,
    daemonMemory: memory.daemon,
    shims: memory.shims,
    shimMemory: memory.all - memory.daemon,
    loopDelay: main.delayP99Ever,
    loopDelayMax: main.delayMaxEver,
    lost: found.filter(({ told }) => told === undefined).length,
    wrong: found.filter(({ told, status }) => told !== undefined && told.status !== status).length,
    repeated: [...ledger.told.values()].filter(({ times }) => times > 1).length,
  };
}
