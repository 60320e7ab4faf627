import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { atMost, Rendezvous, runRound } from '../../../../src/cli/load/round.ts';

const never = new AbortController().signal;
const quiet = () => undefined;

describe('a round', () => {
  test('runs every task once, and no more at a time than it may', async () => {
    const seen: number[] = [];
    let running = 0;
    let most = 0;
    const live = async (index: number) => {
      running += 1;
      most = Math.max(most, running);
      await sleep(1);
      seen.push(index);
      running -= 1;
    };
    const result = await runRound({
      tasks: 50,
      concurrency: 7,
      live,
      onProgress: quiet,
      obstacle: quiet,
      signal: never,
    });
    expect(result).toMatchObject({ done: 50, failures: 0, givenUp: undefined });
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index));
    expect(most).toBe(7);
  });

  test('goes on after a failure, keeps the first, and gives up where all fail', async () => {
    const fails = (which: (index: number) => boolean) =>
      runRound({
        tasks: 500,
        concurrency: 4,
        live: (index) => (which(index) ? Promise.reject(new Error(`no ${index}`)) : Promise.resolve()),
        onProgress: quiet,
        obstacle: quiet,
        signal: never,
      });
    expect(await fails((index) => index === 8)).toMatchObject({
      done: 499,
      failures: 1,
      firstFailure: new Error('no 8'),
      givenUp: undefined,
    });
    const hopeless = await fails(() => true);
    expect(hopeless.done).toBe(0);
    expect(hopeless.failures).toBeLessThan(40);
    expect(hopeless.givenUp).toMatch(/^given up after \d+ failures/);
  });

  test('starts nothing more once it is aborted, and waits for what is under way', async () => {
    const controller = new AbortController();
    let ended = 0;
    const live = async (index: number) => {
      if (index === 5) controller.abort();
      await sleep(5);
      ended += 1;
    };
    const result = await runRound({
      tasks: 100,
      concurrency: 3,
      live,
      onProgress: quiet,
      obstacle: quiet,
      signal: controller.signal,
    });
    expect(result.givenUp).toMatch(/^interrupted; \d+ tasks not tried$/);
    expect(result.done).toBe(ended);
    expect(ended).toBeLessThan(10);
  });
});

test('a round begins nothing more once something is in the way', async () => {
  let reason: string | undefined;
  const live = async (index: number) => {
    if (index === 3) reason = 'no events';
    await Promise.resolve();
  };
  const options = { tasks: 100, concurrency: 2, live, onProgress: quiet, obstacle: () => reason, signal: never };
  const result = await runRound(options);
  expect(result.givenUp).toMatch(/^no events; 9\d tasks not tried$/);
});

describe('a rendezvous', () => {
  test('lets nobody on before all have come or left, and releases once', async () => {
    let released = 0;
    const meeting = new Rendezvous(3, () => {
      released += 1;
    });
    const passed: string[] = [];
    const first = meeting.arrive(never).then(() => passed.push('first'));
    await meeting.leave();
    await sleep(5);
    expect({ released, passed }).toEqual({ released: 0, passed: [] });
    await Promise.all([first, meeting.arrive(never).then(() => passed.push('third'))]);
    expect(released).toBe(1);
    expect(passed).toHaveLength(2);
  });

  test('ends for everybody when it is aborted', async () => {
    const controller = new AbortController();
    const meeting = new Rendezvous(2, quiet);
    const waiting = meeting.arrive(controller.signal);
    controller.abort(new Error('given up'));
    await expect(waiting).rejects.toThrow('given up');
  });
});

test('a limit passes its places on, after failures too', async () => {
  const limited = atMost(2);
  let running = 0;
  let most = 0;
  const work = (index: number) =>
    limited(async () => {
      running += 1;
      most = Math.max(most, running);
      await sleep(1);
      running -= 1;
      if (index % 2 === 0) throw new Error('even');
      return index;
    });
  const results = await Promise.allSettled(Array.from({ length: 9 }, (_, index) => work(index)));
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
  expect(most).toBe(2);
});
