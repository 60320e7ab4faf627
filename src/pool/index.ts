export type { EarlyThreads } from './early-threads.ts';
export { Pool, type PoolOptions } from './pool.ts';
export { Slot, type SlotOptions, type SlotState } from './slot.ts';
export type { Transfer } from './thread.ts';
