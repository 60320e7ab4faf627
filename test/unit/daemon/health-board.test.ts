import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HealthBoard } from '../../../src/daemon/health-board.ts';
import type { Finding } from '../../../src/shared/health.ts';
import { createLogger } from '../../../src/shared/log/logger.ts';

describe('the board of components', () => {
  let now = 0;
  let lines: string[];
  let board: HealthBoard;
  let found: Finding[];

  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
    now = 1_000_000;
    lines = [];
    found = [];
    const logger = createLogger(
      (level, message, fields) => lines.push(`${level} ${message} ${String(fields['component'])}`),
      'debug',
    );
    board = new HealthBoard({ logger, every: 5000 });
    board.add(() => found);
  });

  afterEach(() => {
    board.close();
    vi.useRealTimers();
  });

  const pass = (milliseconds: number): void => {
    vi.advanceTimersByTime(milliseconds);
    now += milliseconds;
  };

  test('knows since when each is well or not, by its own word or by what was seen', () => {
    found = [{ component: 'store' }, { component: 'exits' }];
    pass(60_000);
    expect(board.components()).toEqual([
      { component: 'store', state: 'ok', since: 1_000_000, reason: '' },
      { component: 'exits', state: 'ok', since: 1_000_000, reason: '' },
    ]);
    const seen = now;
    found = [
      { component: 'store', trouble: { state: 'degraded', reason: 'full' } },
      { component: 'exits', trouble: { state: 'degraded', reason: 'not stored', since: 1_050_000 } },
    ];
    expect(board.components()).toMatchObject([{ since: seen }, { since: 1_050_000 }]);
    pass(12_000);
    found = [{ component: 'store', trouble: { state: 'failed', reason: 'refused' } }, { component: 'exits' }];
    expect(board.components()).toEqual([
      { component: 'store', state: 'failed', since: seen, reason: 'refused' },
      { component: 'exits', state: 'ok', since: now, reason: '' },
    ]);
  });

  test('looks by itself, more often while somebody watches, and logs what nobody else does', () => {
    found = [{ component: 'store' }, { component: 'slot/0' }];
    pass(5000);
    found = [
      { component: 'store', trouble: { state: 'failed', reason: 'x' } },
      { component: 'slot/0', trouble: { state: 'failed', reason: 'x' } },
    ];
    pass(5000);
    expect(lines).toEqual(['warn component not well store']);
    let looks = 0;
    const forget = board.onLook(() => {
      looks += 1;
    });
    found = [{ component: 'store' }, { component: 'slot/0' }];
    pass(3000);
    expect(looks).toBe(3);
    forget();
    pass(5000);
    expect(looks).toBe(3);
    expect(lines).toEqual(['warn component not well store', 'info component well again store']);
    expect(board.components()[0]).toMatchObject({ state: 'ok', since: now - 7000 });
  });

  test('tells of a part that cannot tell', () => {
    board.add(() => {
      throw new Error('broken');
    });
    found = [{ component: 'store' }];
    expect(board.components()).toMatchObject([
      { component: 'store' },
      { component: 'health', state: 'degraded', reason: 'broken' },
    ]);
  });
});
