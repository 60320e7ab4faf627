import { describe, expect, test } from 'vitest';
import {
  parseCount,
  parseEnvironment,
  parseInnerPath,
  parseLabel,
  parseLogFile,
  parseNetwork,
  parsePositive,
  parseSignal,
  parseSize,
} from '../../../src/cli/parse.ts';

describe('a signal', () => {
  test.each([
    ['TERM', 15],
    ['SIGTERM', 15],
    ['sigkill', 9],
    ['hup', 1],
    ['9', 9],
    ['64', 64],
    ['RTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['RTMAX-1', 63],
  ])('%s is %i', (text, number) => expect(parseSignal(text)).toBe(number));

  test.each(['', 'SIG', 'FOO', '0', '65', '-1', '9.5', 'RTMIN+99', 'RTMIN-1', 'constructor'])('%j is none', (text) => {
    expect(() => parseSignal(text)).toThrow(/is no signal/);
  });
});

describe('a size', () => {
  test.each([
    ['1024', 1024],
    ['1k', 1024],
    ['64m', 64 * 1024 ** 2],
    ['64MB', 64 * 1024 ** 2],
    ['1.5GiB', 1.5 * 1024 ** 3],
    ['1t', 1024 ** 4],
  ])('%s is %i bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each(['', '0', '-1', 'm', '1x', '1 2', '99999999t'])('%j is none', (text) => {
    expect(() => parseSize(text)).toThrow(/512m/);
  });
});

describe('a variable', () => {
  test('may have an empty value, and a value with an equals sign', () => {
    expect(parseEnvironment('A=', {})).toBe('A=');
    expect(parseEnvironment('A=b=c', {})).toBe('A=b=c');
  });

  test('without a value takes it from the environment', () => {
    expect(parseEnvironment('A', { A: 'x' })).toBe('A=x');
    expect(() => parseEnvironment('B', { A: 'x' })).toThrow(/B is not set here/);
  });

  test('needs a name', () => {
    expect(() => parseEnvironment('=x', {})).toThrow(/NAME=VALUE/);
    expect(() => parseEnvironment('', {})).toThrow(/NAME=VALUE/);
  });
});

test('a label is a key with a value, an empty one where none is given', () => {
  expect(parseLabel('a=b=c')).toEqual(['a', 'b=c']);
  expect(parseLabel('a')).toEqual(['a', '']);
  expect(() => parseLabel('=b')).toThrow(/KEY=VALUE/);
});

test('a log file becomes a URI with what is special in URIs escaped', () => {
  expect(parseLogFile('/var/log/a b%#?.log')).toBe('file:///var/log/a%20b%25%23%3F.log');
  expect(() => parseLogFile('/var/log/')).toThrow(/path of a file/);
});

test('numbers, networks and inner paths are checked', () => {
  expect(parsePositive('1.5')).toBe(1.5);
  expect(() => parsePositive('0')).toThrow(/above 0/);
  expect(parseCount('5')).toBe(5);
  expect(() => parseCount('1.5')).toThrow(/whole number/);
  expect(parseNetwork('host')).toBe('host');
  expect(() => parseNetwork('bridge')).toThrow(/'none' or 'host'/);
  expect(parseInnerPath('/x')).toBe('/x');
  expect(() => parseInnerPath('x')).toThrow(/absolute/);
});
