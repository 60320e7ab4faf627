import { describe, expect, test } from 'vitest';
import { defaultAddress, defaultDirectories } from '../../../src/shared/defaults.ts';

describe('the default directories', () => {
  test("of root are the system's, whatever its environment", () => {
    const root = { uid: 0, env: { XDG_RUNTIME_DIR: '/run/user/0', HOME: '/root' } };
    expect(defaultDirectories(root)).toEqual({ root: '/var/lib/shimd', state: '/run/shimd' });
    expect(defaultAddress(root)).toBe('/run/shimd/shimd.sock');
  });

  test("of another user are the session's", () => {
    const env = { XDG_RUNTIME_DIR: '/run/user/7', XDG_STATE_HOME: '/s', HOME: '/home/u' };
    expect(defaultDirectories({ uid: 7, env })).toEqual({ root: '/s/shimd', state: '/run/user/7/shimd' });
  });

  test('of a user without a session, or with relative paths in it, are private ones', () => {
    const env = { XDG_RUNTIME_DIR: 'run', XDG_STATE_HOME: '', HOME: '/home/u' };
    expect(defaultDirectories({ uid: 7, env })).toEqual({ root: '/home/u/.local/state/shimd', state: '/tmp/shimd-7' });
  });
});
