import { expect, test } from 'vitest';
import { ownCgroup } from '../../../../workers/shim/cgroups.ts';
import { parseOomKills } from '../../../../workers/shim/oom-kills.ts';

test.each([
  ['version 1', 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n', 3],
  ['version 2', 'low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\noom_group_kill 7\n', 0],
  ['a kernel that does not count', 'oom_kill_disable 0\nunder_oom 0\n', undefined],
])('kills for want of memory as %s counts them', (_, text, kills) => {
  expect(parseOomKills(text)).toBe(kills);
});

test.each([
  ['/a/b', '/a/b'],
  ['/a/./b', '/a/b'],
  ['/', undefined],
  ['/../a', '/a'],
  ['a/b', undefined],
  ['slice:prefix:name', undefined],
  [undefined, undefined],
])('the cgroup that %s names', (written, own) => {
  expect(ownCgroup(written)).toBe(own);
});
