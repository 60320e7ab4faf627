import { describe, expect, test } from 'vitest';
import { compilePattern } from '../../../../src/events/filter/pattern.ts';

describe('a pattern is found', () => {
  test.each([
    ['', 'anything'],
    ['', ''],
    ['b', 'abc'],
    ['^/tasks/', '/tasks/exit'],
    ['^/tasks/(exit|oom)$', '/tasks/oom'],
    ['a.c', 'a😀c'],
    ['^.$', '😀'],
    ['a*', 'b'],
    ['^a+b?$', 'aaa'],
    ['^(ab){2,3}$', 'ababab'],
    ['^a{2}$', 'aa'],
    ['^a{2,}$', 'aaaa'],
    ['^a{,2}$', 'a{,2}'],
    ['x{', 'x{'],
    ['^a*?b+?$', 'aab'],
    ['^[a-c_-]+$', 'ab-_c'],
    ['^[]a]+$', ']a'],
    ['^[^]a]$', 'b'],
    ['^[^a-z]$', 'A'],
    ['^[\\d\\.]+$', '1.5'],
    ['^[[:alpha:]]+$', 'abc'],
    ['^[[:^alpha:]]+$', '123'],
    ['^\\w+\\s\\S\\D\\W$', 'ab cd!'],
    ['\\bfoo\\b', 'a foo b'],
    ['\\Boo', 'foo'],
    ['(?i)^CAFÉ$', 'café'],
    ['(?i)^[a-c]+$', 'ABC'],
    ['^a(?i)b|C$', 'c'],
    ['^(?i:a)b$', 'Ab'],
    ['(?s)^a.b$', 'a\nb'],
    ['(?m)^b$', 'a\nb\nc'],
    ['(?U)^a+$', 'aa'],
    ['^(?P<name>a)(?<other>b)(?:c)$', 'abc'],
    ['^\\x41\\x{1F600}\\101\\t$', 'A😀A\t'],
    ['^\\Qa.b*\\E$', 'a.b*'],
    ['^\\p{Greek}\\pL\\PL\\p{^L}$', 'αb12'],
    ['^\\.\\/\\-\\_$', './-_'],
    ['\\Aab\\z', 'ab'],
    ['^(a*)*$', 'aaa'],
    ['^(|a)+$', 'aa'],
    ['^(a|b|c|)d$', 'd'],
  ])('%s in %j', (pattern, value) => {
    expect(compilePattern(pattern)(value)).toBe(true);
  });
});

describe('a pattern is not found', () => {
  test.each([
    ['x', 'abc'],
    ['^b', 'abc'],
    ['b$', 'abc'],
    ['^a$', 'a\n'],
    ['a.b', 'a\nb'],
    ['^b$', 'a\nb'],
    ['^a{2}$', 'aaa'],
    ['^a{2,3}$', 'aaaa'],
    ['[^a]', 'aaa'],
    ['\\d', '٣'],
    ['\\w', 'é'],
    ['(?i)^[^a]$', 'A'],
    ['(?-i)A', 'a'],
    ['(?i:a)b', 'AB'],
  ])('%s in %j', (pattern, value) => {
    expect(compilePattern(pattern)(value)).toBe(false);
  });
});

describe('what RE2 would not compile matches nothing', () => {
  test.each([
    '(',
    ')',
    'a)',
    '[a',
    '[z-a]',
    '*',
    '+a',
    'a**',
    'a{2}{3}',
    'a{1001}',
    'a{3,2}',
    '(?=a)',
    '(?!a)',
    '(?<=a)b',
    '(a)\\1',
    '\\y',
    '\\',
    '\\x{110000}',
    '\\p{Nope}',
    '[[:nope:]]',
    '(?z)a',
    '(?P<>a)',
    '(?',
    `${'('.repeat(5000)}${')'.repeat(5000)}`,
    '((((a{100}){100}){100}){100})',
    '((((){1000}){1000}){1000})',
  ])('%#: %.40s', (pattern) => {
    const matches = compilePattern(pattern);
    expect(matches('')).toBe(false);
    expect(matches('aa')).toBe(false);
  });
});

test('patterns that make backtracking explode take no time', () => {
  const began = performance.now();
  for (const pattern of ['(a+)+$', '^(a|a)*$', '(a*)*b', '^(([a-z])+.)+[A-Z]([a-z])+$', '(.*)(.*)(.*)(.*)(.*)x']) {
    expect(compilePattern(pattern)(`${'a'.repeat(4000)}!`)).toBe(false);
  }
  expect(performance.now() - began).toBeLessThan(2000);
});
