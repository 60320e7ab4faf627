/**
 * A ttrpc frame: a header of 10 bytes, then the data.
 *
 *     0       4         8      9       10
 *     +-------+---------+------+-------+----------------+
 *     | length| stream  | type | flags | length bytes … |
 *     | u32 BE| u32 BE  | u8   | u8    |                |
 *     +-------+---------+------+-------+----------------+
 *
 * `length` counts the data only. A client's streams have odd ids that only rise.
 *
 * | type       | carries                | flags                                                              |
 * |------------|------------------------|--------------------------------------------------------------------|
 * | 1 request  | `ttrpc.Request`        | 0 unary · remoteClosed: streaming, the client sends nothing further |
 * |            |                        | · remoteOpen: streaming, the client sends data frames              |
 * | 2 response | `ttrpc.Response`       | none; ends the stream                                              |
 * | 3 data     | one message, encoded   | remoteClosed: the sender's last frame · noData: carries no message |
 *
 * An empty message is zero bytes of data without `noData`.
 */
export interface FrameHeader {
  readonly length: number;
  readonly stream: number;
  readonly type: number;
  readonly flags: number;
}

export interface Frame extends FrameHeader {
  /** May share memory with what was read from the socket: copy it to keep it for long. */
  readonly data: Uint8Array;
}

export const frameHeaderLength = 10;

/** Most bytes of data in one frame. A longer one is an error of its call; the connection goes on. */
export const maxFrameData = 4 << 20;

export const maxStreamId = 0xffff_ffff;

export const frameTypes = { request: 1, response: 2, data: 3 } as const;

export const frameFlags = { remoteClosed: 1, remoteOpen: 2, noData: 4 } as const;

export function hasFlag(header: FrameHeader, flag: number): boolean {
  return (header.flags & flag) !== 0;
}

/** One line for a log: `data stream=7 length=120 flags=remoteClosed|noData`. */
export function describeFrame(header: FrameHeader): string {
  const type = Object.entries(frameTypes).find(([, number]) => number === header.type)?.[0] ?? `type=${header.type}`;
  const names = Object.entries(frameFlags).filter(([, flag]) => hasFlag(header, flag));
  const known = names.reduce((flags, [, flag]) => flags | flag, 0);
  const rest = header.flags & ~known;
  const flags = [...names.map(([name]) => name), ...(rest === 0 ? [] : [`0x${rest.toString(16)}`])];
  const suffix = flags.length === 0 ? '' : ` flags=${flags.join('|')}`;
  return `${type} stream=${header.stream} length=${header.length}${suffix}`;
}
