import { setFlagsFromString } from 'node:v8';
import { limitAllocator } from '../../shared/host/index.ts';

/**
 * Has the C library's allocator give back rather than keep. To be called before there are threads, which would have
 * arenas of their own.
 */
export function keepAllocatorLean(): void {
  limitAllocator();
}

/**
 * Has V8 give back rather than keep, from here on and in threads that start later: this saves an idle daemon some 10 MB,
 * and one that was busy some 20. To be called when the modules are loaded, which takes a tenth longer with it.
 */
export function keepHeapLean(): void {
  setFlagsFromString('--optimize-for-size');
}
