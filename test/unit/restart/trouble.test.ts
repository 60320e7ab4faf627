import { describe, expect, test } from 'vitest';
import { defaultRestart as config } from '../../../src/restart/config.ts';
import { type AttemptState, decide, type Seen, type Situation } from '../../../src/restart/decide.ts';
import { type ServiceTrouble, troubleOf } from '../../../src/restart/trouble.ts';
import { readWish } from '../../../src/restart/wish.ts';
import { restartLabels } from '../../../src/shared/restart-labels.ts';

const now = 1_000_000_000;
const wish = (policy: string, more: Record<string, string> = {}) =>
  readWish({ [restartLabels.status]: 'running', [restartLabels.policy]: policy, ...more });
const ended: Seen = { kind: 'ended', pid: 5, status: 1, at: now };
const after = (row: number, at = now - 50): AttemptState => ({
  kind: 'closed',
  last: { at, row, replaces: 1, open: false },
});
const before: ServiceTrouble = { since: now - 9000, reason: 'as before' };

function of(
  given: Partial<Situation>,
  more: { before?: ServiceTrouble; error?: string } = {},
): ServiceTrouble | undefined {
  const situation: Situation = {
    wish: wish('always'),
    seen: ended,
    attempt: { kind: 'closed' },
    createdAt: 0,
    now,
    ...given,
  };
  return troubleOf(situation, decide(situation, config), { config, before: more.before, error: more.error });
}

describe('a service', () => {
  test('that ends once, and waits for its first restart, is in no trouble', () => {
    expect(of({})).toBeUndefined();
    expect(of({ attempt: after(7, now - config.healthyAfter) })).toBeUndefined();
  });

  test('that ends soon after each restart is in trouble, since the first wait, until it has run for long', () => {
    expect(of({ attempt: after(2) })).toEqual({
      since: now,
      reason: 'it ended soon after each of 2 restarts, and the next one waits 400 ms',
    });
    expect(of({ attempt: after(3) }, { before })).toMatchObject({ since: before.since });
    const alive: Seen = { kind: 'alive', since: now };
    expect(of({ seen: alive, attempt: after(3) }, { before })).toBe(before);
    expect(of({ seen: alive, attempt: after(3, now - config.healthyAfter) }, { before })).toBeUndefined();
  });

  test('whose task cannot be made is in trouble, with the reason, while it is tried again', () => {
    const failed: AttemptState = { kind: 'failed', last: { at: now - 50, row: 2, replaces: 0, open: true } };
    const none: Seen = { kind: 'none', since: now, hadOne: true };
    expect(of({ seen: none, attempt: failed }, { error: 'no such file' })).toEqual({
      since: now,
      reason: '2 restarts in a row failed: no such file',
    });
    const last = wish('on-failure:3', { [restartLabels.count]: '3' });
    expect(of({ seen: none, attempt: failed, wish: last }, { before })).toBeUndefined();
  });

  test('that was stopped, or whose shim does not answer, is not', () => {
    const stopped = wish('unless-stopped', { [restartLabels.explicitlyStopped]: 'true' });
    expect(of({ wish: stopped, attempt: after(3) }, { before })).toBeUndefined();
    expect(of({ wish: readWish({ [restartLabels.status]: 'stopped' }) }, { before })).toBeUndefined();
    expect(of({ seen: { kind: 'unsure' }, attempt: after(3) }, { before })).toBeUndefined();
  });
});
