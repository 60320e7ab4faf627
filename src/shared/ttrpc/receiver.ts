import { codeOfNumber, TaskError } from '../errors/index.ts';
import { ttrpc } from '../proto/gen/wire.js';
import type { Frame } from './frame.ts';

/** What one of a client's streams does with frames. */
export interface Receiver {
  /** The method, for messages. */
  readonly path: string;
  /** True where the stream has ended with this frame. */
  receive(frame: Frame): boolean;
  /** Ends the stream; nothing where it has ended already. */
  fail(error: TaskError): void;
}

/** The payload of a response frame. Throws the remote's error as it is, or INTERNAL where the bytes make no sense. */
export function readResponse(frame: Frame, path: string): Uint8Array {
  const response = parse(() => ttrpc.Response.decode(frame.data), path);
  const code = response.status?.code ?? 0;
  if (code !== 0) throw new TaskError(codeOfNumber(code), response.status?.message ?? '');
  return response.payload;
}

/** Runs a codec on what the peer sent; its error is INTERNAL. */
export function parse<T>(decode: () => T, path: string): T {
  try {
    return decode();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TaskError('INTERNAL', `${path}: the reply cannot be decoded: ${reason}`, { cause: error });
  }
}
