import { callLibc } from './libc.ts';

/** Parameters of glibc's mallopt(3). */
const parameters = { trimThreshold: -1, mmapThreshold: -3, arenaMax: -8 } as const;

const arenas = 2;
const threshold = 128 << 10;

/**
 * Has the C library's allocator keep less, from here on; to be called before threads are started. Each thread would have
 * an arena of its own, of which it gives back nothing but its end: after a burst they held some 15 MB with half a
 * megabyte in use, a bit more after each. And large blocks go back to the kernel when they are freed, however many
 * there were before. Nothing where the C library is another one.
 */
export function limitAllocator(): void {
  callLibc((libc) => libc.mallopt(parameters.arenaMax, arenas));
  // Setting one of these stops glibc from raising both by itself, up to 64 MB.
  callLibc((libc) => libc.mallopt(parameters.mmapThreshold, threshold));
  callLibc((libc) => libc.mallopt(parameters.trimThreshold, threshold));
}

/** Gives what the C library's allocator has free back to the kernel; it keeps most of it otherwise. Some milliseconds. */
export function releaseFreeMemory(): void {
  callLibc((libc) => libc.malloc_trim(0));
}
