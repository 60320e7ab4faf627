import type { ShimRef } from '../identifiers.ts';

/** A place in a shim's log. The file is named by device and inode: another one in its place is read from its beginning. */
export interface ShimLogPlace {
  readonly file: string;
  /** In bytes; what lies before may not be kept any more. */
  readonly offset: number;
}

/** Where reading begins: with the last lines or bytes, whichever are fewer, or at a place that an earlier part named. */
export type ShimLogStart =
  | { readonly kind: 'tail'; readonly lines?: number | undefined; readonly bytes?: number | undefined }
  | { readonly kind: 'at'; readonly place: ShimLogPlace };

/** Reads on in the log that a shim writes in its bundle. The shim itself is not asked. */
export interface ReadShimLogOperation extends ShimRef {
  readonly kind: 'read-shim-log';
  /** When the supervisor gives up, in milliseconds since 1970. */
  readonly deadline: number;
  /** Its directory, below the state directory. */
  readonly bundle: string;
  readonly from: ShimLogStart;
  /** Milliseconds that it waits for more where there is nothing yet; 0: it does not. */
  readonly patience: number;
}

/** The next part of a log. */
export interface ShimLogPart {
  /** At most 64 KiB; empty where there was nothing in time. */
  readonly content: Uint8Array;
  /** What was right before this part is not kept any more. */
  readonly dropped: boolean;
  /** Where the next part begins. */
  readonly next: ShimLogPlace;
  /** Length of the whole log when this was read, in bytes, with what is not kept. */
  readonly end: number;
  /** The log was removed with its bundle, and this is the end of it. */
  readonly removed: boolean;
}
