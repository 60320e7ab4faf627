import { describe, expect, test } from 'vitest';
import { defaultRestart } from '../../../src/restart/config.ts';
import { type AttemptState, decide, pauseBefore, type Seen, type Situation } from '../../../src/restart/decide.ts';
import { readWish } from '../../../src/restart/wish.ts';
import { restartLabels } from '../../../src/shared/restart-labels.ts';

const now = 1_000_000_000;
const config = defaultRestart;
const closed: AttemptState = { kind: 'closed' };
const attempt = { at: now - 1000, row: 3, replaces: 77, open: true };
const wish = (policy: string, more: Record<string, string> = {}) =>
  readWish({ [restartLabels.status]: 'running', [restartLabels.policy]: policy, ...more });
const ended = (status: number, at = now - 60_000, pid = 5): Seen => ({ kind: 'ended', pid, status, at });
const of = (situation: Partial<Situation>) =>
  decide({ wish: wish('always'), seen: ended(0), attempt: closed, createdAt: 0, now, ...situation }, config);
const stopped = { [restartLabels.explicitlyStopped]: 'true' };

describe('a service', () => {
  test.each([
    ['always', {}, 0, 'start'],
    ['', {}, 1, 'start'],
    ['no', {}, 1, 'leave'],
    ['unless-stopped', {}, 0, 'start'],
    ['unless-stopped', stopped, 0, 'leave'],
    ['always', stopped, 0, 'start'],
    ['on-failure', {}, 0, 'leave'],
    ['on-failure', { [restartLabels.count]: '500' }, 1, 'start'],
    ['on-failure:3', { [restartLabels.count]: '2' }, 1, 'start'],
    ['on-failure:3', { [restartLabels.count]: '3' }, 1, 'leave'],
    ['on-failure:3', { [restartLabels.count]: 'three' }, 1, 'leave'],
    ['on-failure:x', {}, 1, 'leave'],
    ['sometimes', {}, 1, 'leave'],
  ])('with the policy %j and the labels %j that ended with %i: %s', (policy, labels, status, kind) => {
    expect(of({ wish: wish(policy, labels), seen: ended(status) }).kind).toBe(kind);
  });

  test('is left alone while it runs, is frozen, or its shim does not answer', () => {
    expect(of({ seen: { kind: 'alive', since: 0 } })).toEqual({ kind: 'leave' });
    expect(of({ seen: { kind: 'unsure' } })).toEqual({ kind: 'leave' });
  });

  test('waits longer with each restart in a row, up to a limit, and not after a healthy run', () => {
    const last = { ...attempt, open: false };
    const quickly = of({ seen: ended(1, now), attempt: { kind: 'closed', last } });
    expect(quickly).toEqual({ kind: 'wait', until: now + pauseBefore(4, config) });
    const late = { ...last, at: now - config.healthyAfter };
    expect(of({ seen: ended(1, now), attempt: { kind: 'closed', last: late } })).toEqual({
      kind: 'wait',
      until: now + config.firstPause,
    });
    expect([1, 2, 3, 4, 50].map((row) => pauseBefore(row, config))).toEqual([100, 200, 400, 800, 60_000]);
  });

  test('goes on with a restart that another daemon left in its middle, at once and without counting it again', () => {
    const cutOff: AttemptState = { kind: 'cut-off', last: attempt };
    const rest = { kind: 'start', row: 3, counts: false };
    expect(of({ attempt: cutOff, seen: { kind: 'none', since: now, hadOne: false } })).toEqual(rest);
    expect(of({ attempt: cutOff, seen: { kind: 'created', since: now } })).toEqual(rest);
    expect(of({ attempt: cutOff, seen: ended(1, now, 77) })).toEqual(rest);
    // Its last permitted one, too.
    const limited = wish('on-failure:3', { [restartLabels.count]: '3' });
    expect(of({ wish: limited, attempt: cutOff, seen: ended(1, now, 77) })).toEqual(rest);
    const halted = wish('unless-stopped', stopped);
    expect(of({ wish: halted, attempt: cutOff, seen: ended(1, now, 77) })).toEqual({ kind: 'leave' });
  });

  test('counts a task that could not be made as a failure, and tries again later', () => {
    const failed: AttemptState = { kind: 'failed', last: attempt };
    const seen: Seen = { kind: 'none', since: now, hadOne: true };
    expect(of({ attempt: failed, seen, now: attempt.at + 800 })).toEqual({ kind: 'start', row: 4, counts: true });
    expect(of({ attempt: failed, seen, now: attempt.at + 799 })).toEqual({ kind: 'wait', until: attempt.at + 800 });
    const limited = wish('on-failure:3', { [restartLabels.count]: '3' });
    expect(of({ wish: limited, attempt: failed, seen })).toEqual({ kind: 'leave' });
  });

  test('without a task gives its client time, and is started then where its end needs not be known', () => {
    const fresh: Seen = { kind: 'none', since: now, hadOne: false };
    expect(of({ seen: fresh, createdAt: now - 1 })).toEqual({ kind: 'wait', until: now - 1 + config.grace });
    expect(of({ seen: fresh, createdAt: 0 }).kind).toBe('start');
    expect(of({ seen: { ...fresh, hadOne: true }, createdAt: 0 }).kind).toBe('wait');
    expect(of({ seen: fresh, wish: wish('on-failure') })).toEqual({ kind: 'leave' });
    expect(of({ seen: { kind: 'created', since: now } }).kind).toBe('wait');
    expect(of({ seen: { kind: 'created', since: now - config.grace } }).kind).toBe('start');
  });

  test('that shall be stopped is ended, once whoever said so had time to', () => {
    const halt = readWish({ [restartLabels.status]: 'stopped' });
    expect(of({ wish: halt, seen: { kind: 'alive', since: now } })).toEqual({
      kind: 'wait',
      until: now + config.interval,
    });
    expect(of({ wish: halt, seen: { kind: 'alive', since: now - config.interval } })).toEqual({ kind: 'stop' });
    expect(of({ wish: halt, seen: ended(0) })).toEqual({ kind: 'leave' });
  });
});
