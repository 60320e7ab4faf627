import { planLife } from './life.mjs';

/** A sandbox with its tasks for every so many containers that stand alone. */
const share = 0.08;
/** Seconds of a gentle stop: more than a task needs that ends when it is asked to. */
const grace = 10;

/** Whether the life of this number is a sandbox's. Has a stream of choices of its own: other lives are what they were. */
export function isSandboxLife(random, runtimes) {
  return runtimes.some(({ sandboxes }) => sandboxes.served) && random.chance(share);
}

/** A plan that the seed makes, as `planLife` does; one that ends by itself runs for at most `longestRun` ms. */
export function planSandbox(random, runtimes, longestRun) {
  const runtime = random.pick(runtimes.filter(({ sandboxes }) => sandboxes.served));
  const hasProcess = runtime.sandboxes.withProcess && random.chance(0.6);
  const ofProcess = hasProcess ? { itself: 2, term: 2, host: 1 } : {};
  return {
    runtime,
    hasProcess,
    /** By whom its end is brought about: the API, its own process, or a signal to that from outside. */
    end: random.weighted({ stop: 3, shutdown: 2, ...ofProcess }),
    /** Seconds that a stop gives. */
    grace: random.chance(0.3) ? grace : 0,
    code: random.between(1, 120),
    run: random.between(0, longestRun),
    /** Whether its end comes in the middle of its tasks' lives instead of after them. */
    isEarly: random.chance(0.4),
    /** Of the first create's caller, in milliseconds. */
    createBudget: random.chance(0.12) ? random.between(1, 80) : undefined,
    members: Array.from({ length: random.between(1, 3) }, () => planLife(random, [runtime], longestRun)),
  };
}
