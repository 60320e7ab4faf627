import { expect, test } from 'vitest';
import { stdioForShim } from '../../../../workers/shim/stdio.ts';

const none = { stdin: '', stdout: '', stderr: '', terminal: false };

test('no stdio at all is passed on as it is', () => {
  expect(stdioForShim(none)).toEqual(none);
});

test('what is absent beside what is given becomes /dev/null', () => {
  expect(stdioForShim({ ...none, stdin: '/in' })).toEqual({
    stdin: '/in',
    stdout: '/dev/null',
    stderr: '/dev/null',
    terminal: false,
  });
});

test('a terminal gets no stderr, and no stdin that ends', () => {
  expect(stdioForShim({ ...none, stdout: '/out', terminal: true })).toEqual({
    stdin: '',
    stdout: '/out',
    stderr: '',
    terminal: true,
  });
});

test('a terminal that nobody reads writes to /dev/null', () => {
  expect(stdioForShim({ ...none, terminal: true })).toMatchObject({ stdin: '', stdout: '/dev/null', stderr: '' });
});
