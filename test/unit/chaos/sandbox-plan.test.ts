import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';

type Random = object;

interface Runtime {
  readonly name: string;
  readonly sandboxes: { readonly served: boolean; readonly withProcess: boolean };
}

interface Plan {
  readonly runtime: Runtime;
  readonly hasProcess: boolean;
  readonly end: string;
  readonly members: readonly { readonly runtime: Runtime }[];
}

const library = path.resolve(import.meta.dirname, '../../chaos/lib');
const load = async (name: string): Promise<unknown> => import(pathToFileURL(path.join(library, name)).href);
const { Random } = (await load('random.mjs')) as { Random: new (seed: string, stream: string) => Random };
const { isSandboxLife, planSandbox } = (await load('sandbox-plan.mjs')) as {
  isSandboxLife: (random: Random, runtimes: readonly Runtime[]) => boolean;
  planSandbox: (random: Random, runtimes: readonly Runtime[], longest: number) => Plan;
};

const embedded: Runtime = { name: 'embedded', sandboxes: { served: true, withProcess: true } };
const bare: Runtime = { name: 'bare', sandboxes: { served: true, withProcess: false } };
const without: Runtime = { name: 'without', sandboxes: { served: false, withProcess: false } };
const runtimes = [embedded, bare, without];
const numbers = Array.from({ length: 400 }, (_, number) => number);

const planOf = (seed: string, number: number): Plan =>
  planSandbox(new Random(seed, `sandbox/${number}`), runtimes, 1000);

describe('the plans of sandboxes in a chaos run', () => {
  test('are the same for the same seed, and others for another one', () => {
    const plans = (seed: string) => numbers.map((number) => planOf(seed, number));
    expect(plans('7')).toEqual(plans('7'));
    expect(plans('7')).not.toEqual(plans('8'));
  });

  test('have runtimes that serve sandboxes, and end by a process only where there is one', () => {
    const plans = numbers.map((number) => planOf('7', number));
    expect(new Set(plans.map(({ runtime }) => runtime))).toEqual(new Set([embedded, bare]));
    const endsOf = (list: readonly Plan[]) => new Set(list.map(({ end }) => end));
    const [having, others] = [plans.filter((plan) => plan.hasProcess), plans.filter((plan) => !plan.hasProcess)];
    expect(having.every(({ runtime }) => runtime === embedded)).toBe(true);
    expect(endsOf(having)).toEqual(new Set(['stop', 'shutdown', 'itself', 'term', 'host']));
    expect(endsOf(others)).toEqual(new Set(['stop', 'shutdown']));
    for (const { runtime, members } of plans) {
      expect(members.length).toBeGreaterThan(0);
      expect(members.every((member) => member.runtime === runtime)).toBe(true);
    }
  });

  test('are those of a small share of the lives, and of none where no runtime serves sandboxes', () => {
    const sandboxes = (from: readonly Runtime[]) =>
      numbers.filter((number) => isSandboxLife(new Random('7', `kind/${number}`), from)).length;
    expect(sandboxes(runtimes)).toBeGreaterThan(numbers.length * 0.04);
    expect(sandboxes(runtimes)).toBeLessThan(numbers.length * 0.12);
    expect(sandboxes([without])).toBe(0);
  });
});
