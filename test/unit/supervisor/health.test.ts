import { describe, expect, onTestFinished, test } from 'vitest';
import { parseShimId, parseTaskId } from '../../../src/shared/identifiers.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import type { Vitals } from '../../../src/shared/util/vitals.ts';
import type { Context } from '../../../src/supervisor/context.ts';
import { ExitKeeper } from '../../../src/supervisor/exit-keeper.ts';
import { shimTrouble, supervisorHealth } from '../../../src/supervisor/health.ts';
import { Registry } from '../../../src/supervisor/registry.ts';
import { takeReport } from '../../../src/supervisor/reports.ts';
import { Retries } from '../../../src/supervisor/retries.ts';
import { Shim, type ShimState } from '../../../src/supervisor/shim.ts';
import { Watchdog } from '../../../src/supervisor/watchdog.ts';
import { addTask, fakeSlot, MemoryExits, namespace, shimInfo } from './fixture.ts';

const live = { kind: 'live', info: shimInfo('s', 'per-task') } as const;

function shimIn(state: ShimState = live, id = 's'): Shim {
  const slot = fakeSlot(0, () => undefined);
  return new Shim({
    namespace,
    id: parseShimId(id),
    mode: 'per-task',
    binary: '/b',
    bundle: '/b',
    slot,
    state,
    logger: silentLogger,
  });
}

describe('a shim', () => {
  test('that answers, starts or stops is in no trouble', () => {
    for (const state of [live, { kind: 'starting' }, { kind: 'stopping' }] as const) {
      expect(shimTrouble(shimIn(state))).toBeUndefined();
    }
    expect(shimTrouble(shimIn({ kind: 'gone', reason: 'it was stopped' }))).toBeUndefined();
  });

  test('is in trouble since the first call that it did not answer in time', () => {
    const shim = shimIn();
    const began = Date.now();
    shim.overdue += 1;
    const first = shimTrouble(shim);
    expect(first).toMatchObject({ state: 'degraded', reason: expect.stringContaining('deadline') });
    expect(first?.since).toBeGreaterThanOrEqual(began);
    shim.overdue += 1;
    expect(shimTrouble(shim)).toMatchObject({ since: first?.since, reason: expect.stringMatching(/: 2$/) });
    shim.overdue = 0;
    expect(shimTrouble(shim)).toBeUndefined();
  });

  test('has failed where it does not answer its heartbeat, and not when it does again', () => {
    const registry = new Registry();
    const shim = shimIn();
    registry.addShim(shim);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what else a context has is not asked for
    const context = { registry } as unknown as Context;
    takeReport(context, shim.slot, { kind: 'shim-late', namespace, shim: shim.id, late: true });
    expect(shimTrouble(shim)).toMatchObject({ state: 'failed', reason: 'it does not answer its heartbeat' });
    takeReport(context, shim.slot, { kind: 'shim-late', namespace, shim: shim.id, late: false });
    expect(shimTrouble(shim)).toBeUndefined();
  });

  test('has failed where it does not answer when it is taken over, or is gone and its tasks are not removed', () => {
    expect(shimTrouble(shimIn({ kind: 'silent', reason: 'no answer' }))).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('no answer'),
    });
    expect(shimTrouble(shimIn({ kind: 'adopting' }))).toMatchObject({ state: 'degraded' });
    const shim = addTask(new Registry(), 'task').shim ?? shimIn();
    shim.set({ kind: 'gone', reason: 'refused' });
    expect(shimTrouble(shim)).toMatchObject({
      state: 'failed',
      reason: expect.stringMatching(/1 of its tasks.*refused/),
    });
  });

  test('is degraded where it does not answer for one of its tasks', () => {
    const shim = shimIn();
    shim.silent.add(parseTaskId('task'));
    expect(shimTrouble(shim)).toMatchObject({ state: 'degraded', reason: expect.stringContaining('1 of its tasks') });
  });
});

function vitals(delayMax: number): Vitals {
  return { delayP99: delayMax, delayMax, delayP99Ever: 0, delayMaxEver: 0, heap: 0 };
}

describe('a thread', () => {
  const open = (): Watchdog => {
    const watchdog = new Watchdog(silentLogger);
    onTestFinished(() => watchdog.close());
    return watchdog;
  };

  test('is in trouble where its loop is late again and again, not once', () => {
    const watchdog = open();
    for (const late of [400, 400]) watchdog.note(0, vitals(late));
    expect(watchdog.slotTrouble(0)).toBeUndefined();
    watchdog.note(0, vitals(5));
    for (const late of [400, 400, 700]) watchdog.note(0, vitals(late));
    expect(watchdog.slotTrouble(0)).toMatchObject({ state: 'degraded', reason: expect.stringContaining('700 ms') });
    watchdog.note(0, vitals(5));
    expect(watchdog.slotTrouble(0)).toBeUndefined();
  });

  test('hangs where it has said nothing for three windows, until it says something or is replaced', () => {
    const watchdog = open();
    watchdog.note(0, vitals(5));
    expect(watchdog.slotTrouble(0, Date.now() + 14_000)).toBeUndefined();
    const hung = watchdog.slotTrouble(0, Date.now() + 20_000);
    expect(hung).toMatchObject({ state: 'failed', reason: expect.stringContaining('shimd slots restart 0') });
    watchdog.forget(0);
    expect(watchdog.slotTrouble(0, Date.now() + 20_000)).toBeUndefined();
  });
});

test('the supervisor tells of each part, of all shims together, and of the first hundred in trouble by name', () => {
  const registry = new Registry();
  const watchdog = new Watchdog(silentLogger);
  onTestFinished(() => watchdog.close());
  for (let index = 0; index < 150; index += 1) {
    const shim = shimIn(live, `s${index}`);
    if (index >= 30) shim.overdue = 1;
    registry.addShim(shim);
  }
  const keeper = new ExitKeeper(new MemoryExits(), new Retries(), silentLogger);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what else a context has is not asked for
  const context = { registry, watchdog, keeper, directories: { root: '/', state: '/' } } as unknown as Context;
  const lost = { ...fakeSlot(1, () => undefined), trouble: { since: 5, reason: 'the thread exited' } };
  const found = supervisorHealth(context, [fakeSlot(0, () => undefined), lost]);
  const named = found.filter(({ component }) => component.startsWith('shim/'));
  expect(named).toHaveLength(100);
  expect(found.filter((one) => !named.includes(one))).toMatchObject([
    { component: 'main' },
    { component: 'slot/0', trouble: undefined },
    {
      component: 'slot/1',
      trouble: { state: 'failed', since: 5, reason: expect.stringContaining('the thread exited') },
    },
    { component: 'state-directory' },
    { component: 'exits', trouble: undefined },
    { component: 'shims', trouble: { state: 'degraded', reason: '120 of 150 are not as they should be' } },
  ]);
});
