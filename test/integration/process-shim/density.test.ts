import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Ground } from './ground.ts';
import { eventually } from './host.ts';

/** Kibibytes that a process has for itself, shared pages by share. */
function pss(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
}

it('holds 200 running tasks with little memory and no descriptor for each, and forgets them', async () => {
  const ground = await Ground.open();
  const shim = await ground.shim();
  const ids = Array.from({ length: 200 }, (_, i) => `t${i}`);
  const startAll = async (some: readonly string[]): Promise<void> => {
    for (const id of some) {
      await shim.createOf(id, ['sleep', '1000']);
      await shim.start(id);
      void shim.wait(id).catch(() => undefined);
    }
  };
  const idle = pss(shim.pid);
  await startAll(ids.slice(0, 50));
  const descriptors = () => readdirSync(`/proc/${shim.pid}/fd`).length;
  await eventually('gates are closed', () => descriptors() < 40);
  const fifty = pss(shim.pid);
  await startAll(ids.slice(50));
  const all = pss(shim.pid);
  const each = (all - fifty) / 150;
  console.log(
    `shim: idle ${idle} kB PSS, 50 tasks ${fifty} kB, 200 tasks ${all} kB, ${each.toFixed(1)} kB a further task`,
  );
  expect(each).toBeLessThan(300);
  await eventually('gates are closed', () => descriptors() < 40);
  for (const id of ids) await shim.kill(id, 15);
  for (const id of ids) {
    expect(await shim.wait(id)).toMatchObject({ exitStatus: 143 });
    await shim.delete(id);
  }
  await eventually('all events', () => ground.events.length === 800);
  for (const id of ids) {
    expect(ground.topics(id)).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
  }
  await ground.close();
});
