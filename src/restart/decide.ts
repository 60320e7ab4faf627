import { unreachable } from '../shared/util/unreachable.ts';
import type { RestartConfig } from './config.ts';
import type { Attempt } from './record.ts';
import type { Wish } from './wish.ts';

/** What there is of a service's task. */
export type Seen =
  /** No task. `since` is when that was first seen; `hadOne` where this daemon has seen it with one. */
  | { readonly kind: 'none'; readonly since: number; readonly hadOne: boolean }
  /** It runs, or is frozen: then it is somebody's wish that it does nothing. */
  | { readonly kind: 'alive'; readonly since: number }
  /** Its shim does not answer: that is no death. Or a client is creating it. */
  | { readonly kind: 'unsure' }
  | { readonly kind: 'created'; readonly since: number }
  | { readonly kind: 'ended'; readonly pid: number; readonly status: number; readonly at: number };

/** What an attempt came to, as far as this daemon knows. */
export type AttemptState =
  /** No attempt is open: there was none, or the task that it made was seen running. */
  | { readonly kind: 'closed'; readonly last?: Attempt | undefined }
  /** This daemon's own, and it failed. */
  | { readonly kind: 'failed'; readonly last: Attempt }
  /** Of a daemon that died in its middle. */
  | { readonly kind: 'cut-off'; readonly last: Attempt };

export type Decision =
  | { readonly kind: 'leave' }
  /** Nothing before then. */
  | { readonly kind: 'wait'; readonly until: number }
  /** Make a task, in place of what there is. `counts`: it is a restart of its own, not the rest of one that was cut off. */
  | { readonly kind: 'start'; readonly row: number; readonly counts: boolean }
  /** End and remove the task. */
  | { readonly kind: 'stop' };

export interface Situation {
  readonly wish: Wish;
  readonly seen: Seen;
  readonly attempt: AttemptState;
  /** When the container was made. */
  readonly createdAt: number;
  readonly now: number;
}

/** Pure: what a service needs now. */
export function decide(situation: Situation, config: RestartConfig): Decision {
  const { wish } = situation;
  switch (wish.kind) {
    case 'none':
      return leave;
    case 'stopped':
      return decideStopped(situation, config);
    case 'running':
      return decideRunning(situation, wish, config);
    default:
      return unreachable(wish);
  }
}

const leave: Decision = { kind: 'leave' };

/** Whoever wrote the label has a while to end the task in its own way first. */
function decideStopped({ seen, now }: Situation, config: RestartConfig): Decision {
  if (seen.kind !== 'alive' && seen.kind !== 'created') return leave;
  return after(seen.since + config.interval, now, { kind: 'stop' });
}

function decideRunning(
  situation: Situation,
  wish: Extract<Wish, { kind: 'running' }>,
  config: RestartConfig,
): Decision {
  const { seen, attempt, now, createdAt } = situation;
  switch (seen.kind) {
    case 'alive':
    case 'unsure':
      return leave;
    case 'created':
      if (attempt.kind !== 'closed') return retry(situation, attempt, wish, config);
      // A client makes a task and then starts it; one that has died between the two does not come back.
      if (!mayStart(wish, undefined)) return leave;
      return after(seen.since + config.grace, now, { kind: 'start', row: 1, counts: true });
    case 'none': {
      if (attempt.kind !== 'closed') return retry(situation, attempt, wish, config);
      if (!mayStart(wish, undefined)) return leave;
      // The container's maker is about to make the task, or who deleted the task is about to delete the container.
      const patience = (seen.hadOne ? seen.since : createdAt) + config.grace;
      return after(patience, now, { kind: 'start', row: 1, counts: true });
    }
    case 'ended': {
      if (attempt.kind !== 'closed' && attempt.last.replaces === seen.pid) {
        return retry(situation, attempt, wish, config);
      }
      if (!mayStart(wish, seen.status)) return leave;
      const { last } = attempt;
      const healthy = last === undefined || seen.at - last.at >= config.healthyAfter;
      const row = healthy ? 1 : last.row + 1;
      return after(seen.at + pauseBefore(row, config), now, { kind: 'start', row, counts: true });
    }
    default:
      return unreachable(seen);
  }
}

function retry(
  { now }: Situation,
  attempt: Exclude<AttemptState, { kind: 'closed' }>,
  wish: Extract<Wish, { kind: 'running' }>,
  config: RestartConfig,
): Decision {
  const { last } = attempt;
  // It was counted when it began, and its limit looked at.
  if (attempt.kind === 'cut-off') {
    return isStopped(wish) ? leave : { kind: 'start', row: last.row, counts: false };
  }
  // That a task could not be made is a failure too.
  if (!mayStart(wish, 1)) return leave;
  const row = last.row + 1;
  return after(last.at + pauseBefore(row, config), now, { kind: 'start', row, counts: true });
}

/** Whatever became of the task. */
function isStopped({ policy, explicitlyStopped }: Extract<Wish, { kind: 'running' }>): boolean {
  return policy.kind === 'no' || (policy.kind === 'unless-stopped' && explicitlyStopped);
}

/** `status` is undefined where nobody knows how it ended. */
function mayStart(wish: Extract<Wish, { kind: 'running' }>, status: number | undefined): boolean {
  const { policy } = wish;
  switch (policy.kind) {
    case 'no':
    case 'unless-stopped':
      return !isStopped(wish);
    case 'always':
      return true;
    case 'on-failure':
      return status !== undefined && status !== 0 && (policy.retries === 0 || wish.count < policy.retries);
    default:
      return unreachable(policy);
  }
}

/** Milliseconds before the restart that is the `row`th in a row, from 1. */
export function pauseBefore(row: number, { firstPause, longestPause }: RestartConfig): number {
  return Math.min(longestPause, firstPause * 2 ** Math.min(row - 1, 30));
}

function after(until: number, now: number, then: Decision): Decision {
  return now >= until ? then : { kind: 'wait', until };
}
