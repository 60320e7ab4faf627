import { TaskError } from '../errors/index.ts';
import { frameHeaderLength, maxFrameData } from './frame.ts';

/** Up to this size a copy into one buffer is cheaper than a second buffer for the kernel to gather. */
const inlineLimit = 16 * 1024;

export interface OutgoingFrame {
  readonly stream: number;
  readonly type: number;
  readonly flags: number;
  readonly data: Uint8Array;
}

/** Throws RESOURCE_EXHAUSTED where `length` bytes do not fit a frame; `what` begins the message. */
export function assertFrameSize(length: number, what: string): void {
  if (length > maxFrameData) {
    throw new TaskError(
      'RESOURCE_EXHAUSTED',
      `${what}: message length ${length} exceeds maximum message size of ${maxFrameData}`,
    );
  }
}

/** The frame's bytes, to be written in order. Throws RESOURCE_EXHAUSTED where the data is over 4 MiB. */
export function encodeFrame(frame: OutgoingFrame): readonly Uint8Array[] {
  const { data } = frame;
  assertFrameSize(data.length, `send frame on stream ${frame.stream}`);
  const inline = data.length <= inlineLimit;
  const head = Buffer.allocUnsafe(frameHeaderLength + (inline ? data.length : 0));
  head.writeUInt32BE(data.length, 0);
  head.writeUInt32BE(frame.stream, 4);
  head[8] = frame.type;
  head[9] = frame.flags;
  if (!inline) return [head, data];
  head.set(data, frameHeaderLength);
  return [head];
}
