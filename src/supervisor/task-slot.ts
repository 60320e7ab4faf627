import type { OperationKind, OperationOf, ReplyOf } from '../shared/messages/index.ts';

/** A slot of the pool, as far as the supervisor knows it: something with an identity that runs operations. */
export interface TaskSlot {
  readonly id: number;
  readonly state: { readonly kind: string };
  /** Operations in flight. */
  readonly operations: number;
  /** Threads lost so far. */
  readonly losses: number;
  run<K extends OperationKind>(operation: OperationOf<K> & { readonly kind: K }): Promise<ReplyOf<K>>;
  restart(): Promise<void>;
}
