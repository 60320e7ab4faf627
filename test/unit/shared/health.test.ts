import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import {
  type ComponentHealth,
  failedEssentials,
  type HealthState,
  overallHealth,
  worse,
} from '../../../src/shared/health.ts';
import { spaceTrouble } from '../../../src/shared/util/free-space.ts';
import { fill, smallFileSystem, temporaryDirectory } from '../store/fixture.ts';

const components = (states: Readonly<Record<string, HealthState>>): ComponentHealth[] =>
  Object.entries(states).map(([component, state]) => ({ component, state, since: 0, reason: '' }));

describe('the daemon as a whole', () => {
  test.each([
    [{ store: 'ok', 'slot/0': 'ok', shims: 'ok' }, 'ok'],
    [{ store: 'degraded', 'slot/0': 'ok' }, 'degraded'],
    [{ store: 'ok', 'slot/0': 'failed', 'slot/1': 'ok' }, 'degraded'],
    [{ store: 'ok', 'slot/0': 'failed', 'slot/1': 'failed' }, 'failed'],
    [{ store: 'failed', 'slot/0': 'ok' }, 'failed'],
    [{ store: 'ok', 'slot/0': 'ok', 'shim/default/store': 'failed', 'events-endpoint': 'failed' }, 'degraded'],
  ] as const)('with %j is %s', (states, overall) => {
    expect(overallHealth(components(states))).toBe(overall);
    expect(failedEssentials(components(states)).size > 0).toBe(overall === 'failed');
  });
});

test('the worse of two troubles is the one that failed', () => {
  const degraded = { state: 'degraded', reason: 'late' } as const;
  const failed = { state: 'failed', reason: 'gone' } as const;
  expect(worse(degraded, failed)).toBe(failed);
  expect(worse(failed, degraded)).toBe(failed);
  expect(worse(undefined, degraded)).toBe(degraded);
  expect(worse(degraded, undefined)).toBe(degraded);
  expect(worse(undefined, undefined)).toBeUndefined();
});

describe('a file system', () => {
  test('with room is no trouble, and one that is not there is', async () => {
    expect(spaceTrouble(await temporaryDirectory())).toBeUndefined();
    expect(spaceTrouble('/nonexistent')).toMatchObject({
      state: 'degraded',
      reason: expect.stringContaining('ENOENT'),
    });
  });

  test.skipIf(process.getuid?.() !== 0)('that is full is trouble until it has room again', async () => {
    const directory = await smallFileSystem(4 << 20);
    expect(spaceTrouble(directory)).toBeUndefined();
    const ballast = await fill(directory);
    expect(spaceTrouble(directory)).toEqual({
      state: 'degraded',
      reason: `the file system of ${directory} is full: free some`,
    });
    await rm(ballast);
    expect(spaceTrouble(directory)).toBeUndefined();
  });
});
