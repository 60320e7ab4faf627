import { describe, expect, test } from 'vitest';
import { flatnessOf } from '../../../../src/cli/load/flatness.ts';
import { percentilesOf } from '../../../../src/cli/load/percentiles.ts';
import { containerSignals, mixedPlan, processSignals } from '../../../../src/cli/load/task-plan.ts';

describe('percentiles', () => {
  test('are durations that were seen, whatever their order', () => {
    const durations = Array.from({ length: 200 }, (_, index) => ((index * 37) % 200) + 1);
    expect(percentilesOf(durations)).toEqual({ count: 200, p50: 100, p90: 180, p99: 198, max: 200 });
  });

  test('of one are that one, of none are 0', () => {
    expect(percentilesOf([7])).toEqual({ count: 1, p50: 7, p90: 7, p99: 7, max: 7 });
    expect(percentilesOf([])).toEqual({ count: 0, p50: 0, p90: 0, p99: 0, max: 0 });
  });
});

describe('memory', () => {
  const round = (anonymous: number, descriptors = 40) => ({
    processes: 1,
    // What files take follows from what else runs on the host.
    pss: anonymous + Math.random() * 1000,
    anonymous,
    descriptors,
    threads: 1,
  });

  test('is flat where the fifth round leaves at most 1.1 of what the second left', () => {
    expect(flatnessOf([10, 100, 300, 105, 110].map((bytes) => round(bytes)))?.flat).toBe(true);
    expect(flatnessOf([200, 100, 100, 100, 111].map((bytes) => round(bytes)))?.flat).toBe(false);
  });

  test('is not flat where descriptors are left open', () => {
    const rounds = [0, 0, 20, 40, 60].map((more) => round(100, 40 + more));
    expect(flatnessOf(rounds)).toMatchObject({ flat: false, growth: 1, newDescriptors: 60 });
  });

  test('is not judged on fewer rounds, or on what was not measured', () => {
    expect(flatnessOf([1, 1, 1, 9].map((bytes) => round(bytes)))).toBeUndefined();
    expect(flatnessOf([round(1), undefined, round(1), round(1), round(9)])).toBeUndefined();
  });
});

describe('the mix of tasks', () => {
  test('has success, failures and kills, with the status of each known before', () => {
    const plans = Array.from({ length: 40 }, (_, index) => mixedPlan(index, { taskMs: 0, signals: processSignals }));
    const counts = new Map<number, number>();
    for (const { expected } of plans) counts.set(expected, (counts.get(expected) ?? 0) + 1);
    expect(Object.fromEntries(counts)).toEqual({ 0: 20, 1: 4, 3: 4, 42: 4, 255: 4, 137: 2, 143: 2 });
    const said = plans.map(({ signal, script }) => (signal === undefined ? script : `exit ${128 + signal}`));
    expect(said).toEqual(plans.map(({ expected }) => `exit ${expected}`));
  });

  test('kills the first process of a container with nothing that it could ignore', () => {
    const plans = Array.from({ length: 40 }, (_, index) => mixedPlan(index, { taskMs: 50, signals: containerSignals }));
    expect(new Set(plans.map(({ signal }) => signal))).toEqual(new Set([undefined, 9]));
    expect(plans[0]?.script).toBe('sleep 0.05; exit 0');
  });
});
