import { describe, expect, test } from 'vitest';
import { age } from '../../../../src/cli/output/age.ts';
import { painter } from '../../../../src/cli/output/colour.ts';
import { plainMessage } from '../../../../src/cli/output/plain-message.ts';
import { printable } from '../../../../src/cli/output/printable.ts';
import { table } from '../../../../src/cli/output/table.ts';
import { containerd } from '../../../../src/shared/proto/gen/events.js';

describe('a table', () => {
  test('aligns its columns and ends no line with spaces', () => {
    const rows = [
      ['a', '1', 'x'],
      ['longer', '22', ''],
    ];
    expect(table(['ID', 'PID', 'C'], rows)).toBe('ID      PID  C\na       1    x\nlonger  22\n');
  });

  test('is its headings where there is nothing', () => expect(table(['A', 'B'], [])).toBe('A  B\n'));

  test('aligns painted cells by what is seen of them', () => {
    const paint = painter({ isTTY: true }, {});
    const [, first, second] = table(
      ['S', 'X'],
      [
        [paint('red', 'ab'), '1'],
        ['abcd', '2'],
      ],
    ).split('\n');
    expect(first).toBe('\u001B[31mab\u001B[0m    1');
    expect(second).toBe('abcd  2');
  });
});

describe('colours', () => {
  test.each([
    [{ isTTY: false }, {}],
    [{}, {}],
    [{ isTTY: true }, { NO_COLOR: '1' }],
    [{ isTTY: true }, { TERM: 'dumb' }],
  ])('are left out where nobody wants them: %j %j', (stream, env) => {
    expect(painter(stream, env)('red', 'x')).toBe('x');
  });

  test('are there on a terminal, with an empty NO_COLOR too', () => {
    expect(painter({ isTTY: true }, { NO_COLOR: '' })('green', 'x')).toBe('\u001B[32mx\u001B[0m');
  });
});

test('what a container chose cannot drive the terminal', () => {
  expect(printable('a\u001B[31m\u009Bb\nü')).toBe('a\\u001b[31m\\u009bb\\u000aü');
});

test('an age is given in its largest whole unit and is never negative', () => {
  expect([0, 999, 61_000, 7_200_000, 200_000_000, -5].map((ms) => age(0, ms))).toEqual([
    '0s',
    '0s',
    '1m',
    '2h',
    '2d',
    '0s',
  ]);
});

test('a message as data has its defaults and readable times', () => {
  const bytes = containerd.events.TaskExit.encode({
    containerId: 'a',
    pid: 5,
    exitedAt: { seconds: 1, nanos: 0 },
  }).finish();
  expect(plainMessage(containerd.events.TaskExit.decode(bytes))).toEqual({
    containerId: 'a',
    id: '',
    pid: 5,
    exitStatus: 0,
    exitedAt: '1970-01-01T00:00:01.000Z',
  });
});
