import type { Slot } from '../pool/index.ts';

/** A slot of the pool, as far as the supervisor knows it: something with an identity that runs operations. */
export type TaskSlot = Pick<Slot, 'id' | 'state' | 'trouble' | 'operations' | 'losses' | 'run' | 'restart'>;
