import { mustCallLibc } from './libc.ts';

/** FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE of <linux/falloc.h>. */
const keepSizePunchHole = 0x01 | 0x02;

/**
 * Gives back the blocks of a part of a file, which reads as zeros from then on; its size stays. Whoever writes to it goes on
 * undisturbed. Throws a system error, EOPNOTSUPP where the file system cannot do that.
 */
export function punchHole(fd: number, offset: number, length: number): void {
  mustCallLibc('fallocate', undefined, (libc) => libc.fallocate(fd, keepSizePunchHole, offset, length));
}
