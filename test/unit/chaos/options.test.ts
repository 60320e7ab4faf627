import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const program = path.resolve(import.meta.dirname, '../../chaos/chaos.mjs');

function chaos(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 20_000 });
}

describe('the command line of a chaos run', () => {
  test('says with --help what every option does and what the exit codes mean', () => {
    const { status, stdout } = chaos('--help');
    expect(status).toBe(0);
    for (const option of ['minutes', 'seed', 'placement', 'width', 'calm', 'build', 'json', 'verbose', 'help']) {
      expect(stdout).toContain(`--${option}`);
    }
    expect(stdout).toContain('Exit codes');
  });

  test.each([
    [['--placement', 'none'], '--placement none: give one of'],
    [['--minutes', 'two'], '--minutes two: give a number'],
    [['--minutes', '0'], '--minutes 0: give a number'],
    [['--width', '1000'], '--width 1000: give a number'],
    [['--nothing'], '--nothing'],
  ])('refuses %j with exit code 2 and a hint', (args, message) => {
    const { status, stderr } = chaos(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain('--help');
  });
});
