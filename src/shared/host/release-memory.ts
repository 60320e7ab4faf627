import { callLibc } from './libc.ts';

/** Gives what the C library's allocator has free back to the kernel; it keeps most of it otherwise. Some milliseconds. */
export function releaseFreeMemory(): void {
  callLibc((libc) => libc.malloc_trim(0));
}
