import { describe, expect, test } from 'vitest';
import { type Adaptor, absent, labelField, parseFilters } from '../../../../src/events/filter/index.ts';

const labels = { foo: 'bar', 'a.b': 'cde', 'very complex label': 'something', empty: '', path: '/x/y' };
const fields: Readonly<Record<string, string>> = { id: 'one', name: 'café', image: 'docker.io/busybox:1.36', none: '' };

const object: Adaptor = ([first = '', ...rest]) => {
  if (first === 'labels') return labelField(labels, rest);
  const value = fields[first];
  return value === undefined || rest.length > 0 ? absent : { value, present: value !== '' };
};

const matches = (...filters: string[]) => parseFilters(filters).match(object);

describe('a filter matches', () => {
  test.each(
    [
      '',
      'id',
      'id==one',
      'id == one',
      '  id==one',
      'id==one,name==café',
      'id==one, labels.foo',
      'id=="one"',
      'id!=two',
      'missing!=x',
      'missing.deeper!=x',
      'labels.foo',
      'labels.empty',
      'labels."a.b"',
      'labels.a.b==cde',
      'labels."a.b"~=^c',
      'labels."very complex label"==something',
      'labels."very complex label"=="something"',
      'labels."\\x66oo"==bar',
      'name=="caf\\u00e9"',
      'name=="caf\\xc3\\xa9"',
      'name=="caf\\303\\251"',
      'name=="caf\\U000000e9"',
      'image==docker.io/busybox:1.36',
      'image~=busybox',
      'image~=^docker\\.io/',
      'image~=/busybox/',
      'image~=|^docker.io/|',
      'image~="^docker\\\\.io/b"',
      'image~=|:\\\\d+\\\\.|',
      'labels.path~=/^\\/x/',
      'labels.path~=|^/x/|,id',
      'id~="o|n"',
      'none==""|x',
    ].filter((filter) => !filter.endsWith('|x')),
  )('%s', (filter) => {
    expect(matches(filter)).toBe(true);
  });
});

describe('a filter does not match', () => {
  test.each([
    'id==two',
    'id!=one',
    'none',
    'none==""',
    'missing',
    'missing==x',
    'missing~=^x',
    'labels.bar',
    'labels',
    'labels.toString',
    'labels.__proto__',
    'id==one,name==other',
    'image~=^busybox',
    'image~=|(|',
    'id~="*"',
  ])('%s', (filter) => {
    expect(matches(filter)).toBe(false);
  });
});

test('several filters are alternatives, and no filter lets everything pass', () => {
  expect(matches()).toBe(true);
  expect(matches('id==two', 'name==café')).toBe(true);
  expect(matches('id==two', 'name==other')).toBe(false);
  expect(matches('id==two', '')).toBe(true);
});

describe('a mistake is INVALID_ARGUMENT and shows the place', () => {
  test.each([
    ['=', '[ >|=|< ]: expected field or quoted'],
    ['id=one', '[id >|=|< one]: unsupported operator "="'],
    ['id===one', '[id >|=|< ==one]: unsupported operator "==="'],
    ['id<one', '[id >|<|< one]: expected an operator ("=="|"!="|"~=")'],
    ['id ', '[id ]: expected an operator ("=="|"!="|"~=")'],
    ['id==', '[id==]: expected value or quoted'],
    ['id==,x', '[id== >|,|< x]: expected value or quoted'],
    ['id==.x', '[id== >|.|< x]: expected value or quoted'],
    ['id==one two', '[id==one >| |< two]: unexpected input:  '],
    ['id=="one"two', '[id=="one" >|t|< wo]: unexpected input: t'],
    ['id,', '[id,]: expected field or quoted'],
    ['id,,x', '[id, >|,|< x]: expected field or quoted'],
    ['labels.', '[labels.]: expected field or quoted'],
    ['labels..x', '[labels. >|.|< x]: expected field or quoted'],
    ['é==x', '[ >|é|< ==x]: expected field or quoted'],
    ['id=="one', '[id== >|"|< one]: quoted literal not terminated'],
    ['id==|one|', '[id== >|||< one|]: invalid quote encountered'],
    ['id==/one/', '[id== >|/|< one/]: invalid quote encountered'],
    ['|id|==one', '[ >|||< id|==one]: invalid quote encountered'],
    ['id=="\\d"', '[id== >|"|< \\d"]: illegal escape sequence'],
    ['id=="\\x4"', '[id== >|"|< \\x4"]: illegal numeric escape sequence'],
    ['id=="\\400"', '[id== >|"|< \\400"]: unquoting failed: quote syntax error'],
    ['id=="\\U00110000"', '[id== >|"|< \\U00110000"]: unquoting failed: quote syntax error'],
    ['id=="a\nb"', '[id== >|"|< a\nb"]: quoted literal not terminated'],
  ])('%j', (filter, message) => {
    expect(() => parseFilters(['id', filter])).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: `filters: parse error: ${message}: invalid argument`,
      }),
    );
  });

  test('a filter and a list of filters beyond their limits', () => {
    const tooLong = `id==${'x'.repeat(20_000)}`;
    expect(() => parseFilters([tooLong])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    const tooMany = Array.from({ length: 2000 }, () => 'id');
    expect(() => parseFilters(tooMany)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});
