import { describe, expect, test } from 'vitest';
import { notFound, unavailable } from '../../../src/shared/errors/index.ts';
import { parseShimId, type TaskId } from '../../../src/shared/identifiers.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import type { Operation, ShimInfo, ShimLogPart } from '../../../src/shared/messages/index.ts';
import type { Context } from '../../../src/supervisor/context.ts';
import { Registry } from '../../../src/supervisor/registry.ts';
import { Shim } from '../../../src/supervisor/shim.ts';
import { type ShimLogRequest, ShimLogs } from '../../../src/supervisor/shim-logs.ts';
import type { TaskSlot } from '../../../src/supervisor/task-slot.ts';
import { addTask, fakeSlot, namespace, refOf, shimInfo } from './fixture.ts';

const whole: ShimLogRequest = { follow: false };

function part(text: string, offset: number, more: Partial<ShimLogPart> = {}): ShimLogPart {
  const content = Buffer.from(text);
  const next = { file: 'f', offset: offset + content.length };
  return { content, dropped: false, next, end: next.offset, removed: false, ...more };
}

/** A slot that answers each read with the next of `answers`, and the last one over and over. */
function slotOf(...answers: readonly (ShimLogPart | Error)[]) {
  let next = 0;
  return fakeSlot(0, () => {
    const answer = answers[Math.min(next, answers.length - 1)];
    next += 1;
    if (answer instanceof Error) throw answer;
    return answer;
  });
}

function setUp(slot: TaskSlot = slotOf(part('', 0))) {
  const registry = new Registry();
  const add = (id: string, bundle: string, info: Partial<ShimInfo> = {}): Shim => {
    const full = { ...shimInfo(id, info.mode ?? 'per-task'), ...info };
    const state = { kind: 'live', info: full } as const;
    const { mode, binary } = full;
    const shim = new Shim({ namespace, id: parseShimId(id), mode, binary, bundle, slot, state, logger: silentLogger });
    registry.addShim(shim);
    return shim;
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what else a context has is not asked for
  const context = {
    registry,
    directories: { state: '/state', root: '/root' },
    deadlines: { call: 1000 },
    placement: { chooseSlot: () => slot },
  } as unknown as Context;
  const logs = new ShimLogs(context);
  const read = async (id: string, request = whole): Promise<string> => {
    let text = '';
    for await (const { shim, content, dropped } of logs.read(namespace, id, request)) {
      text += `${dropped ? '[dropped]' : ''}${shim}:${Buffer.from(content).toString()}`;
    }
    return text;
  };
  return { registry, add, logs, read };
}

const bundlesOf = (asked: readonly Operation[]) =>
  asked.map((operation) => (operation.kind === 'read-shim-log' ? operation.bundle : operation.kind));

describe('logs of shims', () => {
  test('end where the log ended when they were begun, however much is written meanwhile', async () => {
    const slot = slotOf(part('one ', 0, { end: 8 }), part('two ', 4, { end: 50, dropped: true }), part('three', 8));
    const { add, read } = setUp(slot);
    add('shim', '/state/n/shim');
    expect(await read('shim')).toBe('shim:one [dropped]shim:two ');
    expect(slot.asked).toMatchObject([
      { kind: 'read-shim-log', patience: 0, from: { kind: 'tail' } },
      { patience: 0, from: { kind: 'at', place: { file: 'f', offset: 4 } } },
    ]);
  });

  test('are followed over a lost thread, until they are removed', async () => {
    const lost = unavailable('the thread of slot 0 was lost');
    const slot = slotOf(part('a', 0), lost, part('', 1), lost, part('b', 1), part('', 2, { removed: true }));
    const { add, read } = setUp(slot);
    add('shim', '/state/n/shim');
    expect(await read('shim', { follow: true })).toBe('shim:ashim:b');
  });

  test('are over when their bundle is gone, and never were where there is none', async () => {
    const gone = setUp(slotOf(part('a', 0), notFound('no such file')));
    gone.add('shim', '/state/n/shim');
    expect(await gone.read('shim', { follow: true })).toBe('shim:a');
    const none = setUp(slotOf(notFound('no such file')));
    none.add('shim', '/state/n/shim');
    await expect(none.read('shim')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/keeps no log/),
    });
  });

  test('of a task that is still being created are in its bundle, or with the shim that it is created in', async () => {
    const slot = slotOf(part('', 0));
    const { registry, add, read } = setUp(slot);
    registry.reserve(refOf('own'));
    registry.reserve(refOf('placed'));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an id like those of requests
    add('shared-1', '/state/n/.shims/shared-1', { mode: 'shared' }).creating.add('placed' as TaskId);
    await read('own');
    await read('placed');
    expect(bundlesOf(slot.asked)).toEqual(['/state/n/own', '/state/n/.shims/shared-1']);
  });

  test("of a group's further task are with the first, and of somebody else's shim nowhere here", async () => {
    const slot = slotOf(part('', 0));
    const { add, read } = setUp(slot);
    add('first', '/state/n/first', { address: 'unix:///group', pid: 7 });
    add('second', '/state/n/second', { address: 'unix:///group', pid: 0 });
    add('alone', '/state/n/alone', { address: 'unix:///alone', pid: 0 });
    add('joined', '/state/n/joined', { mode: 'joined' });
    for (const id of ['first', 'second', 'alone']) await read(id);
    expect(bundlesOf(slot.asked)).toEqual(['/state/n/first', '/state/n/first', '/state/n/alone']);
    await expect(read('joined')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/somebody else's/),
    });
  });

  test('of a task whose shim is gone went with it', async () => {
    const { registry, read } = setUp();
    addTask(registry, 'task').leaveShim();
    await expect(read('task')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/is gone, and its log with it/),
    });
    await expect(read('nobody')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/no task and no shim "nobody"/),
    });
  });

  test('end when their reader gives up', async () => {
    const { add, logs } = setUp(fakeSlot(0, () => new Promise(() => undefined)));
    add('shim', '/state/n/shim');
    const controller = new AbortController();
    const next = logs.read(namespace, 'shim', { follow: true }, { signal: controller.signal }).next();
    controller.abort();
    await expect(next).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
