import { expect, test } from 'vitest';
import { parseMountInfo } from '../../../../workers/shim/mounts.ts';

test('mount points and types are read, escaped characters and optional fields included', () => {
  const text = [
    '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
    '30 22 0:26 / /sys/fs/cgroup/memory rw,nosuid shared:9 master:2 - cgroup cgroup rw,memory',
    '91 22 0:50 / /run/shimd/a\\040b/rootfs rw - overlay overlay rw,lowerdir=/x',
    '',
  ].join('\n');
  expect(parseMountInfo(text)).toEqual([
    { mountPoint: '/', type: 'ext4' },
    { mountPoint: '/sys/fs/cgroup/memory', type: 'cgroup' },
    { mountPoint: '/run/shimd/a b/rootfs', type: 'overlay' },
  ]);
});
