import { afterEach, describe, expect, it } from 'vitest';
import { Slot } from '../../../src/pool/index.ts';
import { parseNamespace, parseTaskId } from '../../../src/shared/identifiers.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import type { Report, StateOperation, WorkerSettings } from '../../../src/shared/messages/index.ts';
import { waitFor } from '../../helpers/wait-for.ts';

const settings: WorkerSettings = {
  slot: 0,
  directories: { root: '/nowhere', state: '/nowhere' },
  eventsAddress: '',
  apiAddress: '',
  publishBinary: '',
  shimEnvironment: {},
  heartbeat: 10_000,
  lostExitAfter: 30_000,
  debug: false,
  deadlines: { load: 1, cleanup: 1, shutdown: 1, state: 1, metrics: 1, start: 1, call: 1 },
  logLevel: 'info',
};

const operation = (task: string, budget = 20_000): StateOperation => ({
  kind: 'state',
  deadline: Date.now() + budget,
  namespace: parseNamespace('n'),
  task: parseTaskId(task),
});

const opened: Slot[] = [];
afterEach(async () => {
  for (const slot of opened.splice(0)) await slot.close();
});

interface Watched {
  readonly slot: Slot;
  readonly reports: Report[];
  readonly told: string[];
}

async function open(options: { maxOperations?: number; grace?: number } = {}): Promise<Watched> {
  const reports: Report[] = [];
  const told: string[] = [];
  const slot = await Slot.open({
    id: 0,
    entry: new URL('../../fixtures/pool/worker.mjs', import.meta.url),
    settings,
    logger: silentLogger,
    onReport: (_, report) => reports.push(report),
    onThreadLost: (_, reason) => told.push(`lost: ${reason}`),
    onThreadReplaced: () => told.push('replaced'),
    ...options,
  });
  opened.push(slot);
  return { slot, reports, told };
}

const threadOf = async (slot: Slot) => (await slot.run(operation('ask'))).pid;

describe('a slot', () => {
  it('runs operations in a thread of its own and throws what they answer', async () => {
    const { slot } = await open();
    expect(await threadOf(slot)).toBeGreaterThan(0);
    await expect(slot.run(operation('fail'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'task fail not found',
    });
  });

  it.each([
    ['exits', 'exit', /exited with code 3/],
    ['throws where nobody catches', 'throw', /boom/],
    ['loses its report port', 'close-port', /port closed/],
  ])('rejects every operation with the reason when its thread %s, and replaces it', async (_, task, reason) => {
    const { slot, told } = await open();
    const first = await threadOf(slot);
    const waiting = slot.run(operation('wait'));
    const killing = slot.run(operation(task));
    killing.catch(() => undefined);
    await expect(waiting).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(reason) });
    await expect(killing).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await threadOf(slot)).not.toBe(first);
    expect(told).toEqual([expect.stringMatching(reason), 'replaced']);
    expect(slot.losses).toBe(1);
  });

  it('delivers the last reports of a thread that exits', async () => {
    const { slot, reports } = await open();
    await expect(slot.run(operation('exit'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(reports).toEqual([expect.objectContaining({ message: 'last words' })]);
  });

  it('ends the wait for a blocked thread at the deadline, and can be restarted then', async () => {
    const { slot } = await open({ grace: 50 });
    const first = await threadOf(slot);
    await expect(slot.run(operation('block', 200))).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await slot.restart();
    expect(await threadOf(slot)).not.toBe(first);
  });

  it('refuses more operations than it may have at once', async () => {
    const { slot } = await open({ maxOperations: 2 });
    const waiting = [slot.run(operation('wait')), slot.run(operation('wait'))];
    for (const wait of waiting) wait.catch(() => undefined);
    await waitFor(() => slot.operations === 2, { doing: 'two operations in flight' });
    await expect(slot.run(operation('ask'))).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await slot.close();
    await expect(waiting[0]).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('is in trouble from the loss of its thread until the next one serves', async () => {
    const { slot } = await open();
    expect(slot.trouble).toBeUndefined();
    const began = Date.now();
    await expect(slot.run(operation('exit'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(slot.trouble).toMatchObject({ reason: expect.stringContaining('exited with code 3') });
    expect(slot.trouble?.since).toBeGreaterThanOrEqual(began);
    await threadOf(slot);
    expect(slot.trouble).toBeUndefined();
  });

  it('survives a row of losses, each thread later than the one before', async () => {
    const { slot, told } = await open();
    for (let round = 0; round < 3; round += 1) {
      await expect(slot.run(operation('exit'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    }
    await threadOf(slot);
    expect(slot.losses).toBe(3);
    expect(told.filter((line) => line === 'replaced')).toHaveLength(3);
    expect(slot.trouble).toBeUndefined();
  });

  it('does not open with an entry that cannot be loaded', async () => {
    const opening = Slot.open({
      id: 0,
      entry: new URL('../../fixtures/pool/broken.mjs', import.meta.url),
      settings,
      logger: silentLogger,
      onReport: () => undefined,
      onThreadLost: () => undefined,
      onThreadReplaced: () => undefined,
    });
    await expect(opening).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('cannot be loaded'),
    });
  });

  it('refuses operations once it is closed', async () => {
    const { slot } = await open();
    await slot.close();
    await expect(slot.run(operation('ask'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
