import { describe, expect, test } from 'vitest';
import { containerd } from '../../../../src/shared/proto/gen/task.js';
import {
  type Bootstrap,
  encodeBootstrapParams,
  formatBootstrap,
  parseBootstrap,
} from '../../../../workers/shim/bootstrap.ts';

const { BootstrapParams, BootstrapResult } = containerd.runtime.bootstrap.v1;
const address = 'unix:///run/containerd/s/0123abcd';
const protobuf = (version: number, protocol = 'ttrpc') =>
  BootstrapResult.encode({ version, address, protocol }).finish();

describe('a reply of the start action', () => {
  test.each<[string, Uint8Array, Bootstrap]>([
    ['protobuf', protobuf(3), { version: 3, address, protocol: 'ttrpc' }],
    ['protobuf of a gRPC shim', protobuf(2, 'grpc'), { version: 2, address, protocol: 'grpc' }],
    [
      'JSON',
      Buffer.from(`{"version":2,"address":"${address}","protocol":"ttrpc"}\n`),
      { version: 2, address, protocol: 'ttrpc' },
    ],
    [
      'JSON of version 3, protocol in capitals',
      Buffer.from(`{"version":3,"address":"${address}","protocol":"GRPC"}`),
      { version: 3, address, protocol: 'grpc' },
    ],
    ['a bare address', Buffer.from(`${address}\n`), { version: 2, address, protocol: 'ttrpc' }],
    ['a bare path', Buffer.from('/run/x.sock'), { version: 2, address: '/run/x.sock', protocol: 'ttrpc' }],
  ])('is understood as %s', (_, reply, expected) => {
    expect(parseBootstrap(reply)).toEqual(expected);
  });

  test('keeps an address that ends in white space when it comes as protobuf', () => {
    const reply = BootstrapResult.encode({ version: 3, address: '/run/x ', protocol: 'ttrpc' }).finish();
    expect(parseBootstrap(reply)).toMatchObject({ address: '/run/x ' });
  });

  test.each([
    ['protobuf', protobuf(4)],
    ['JSON', Buffer.from(`{"version":4,"address":"${address}","protocol":"ttrpc"}`)],
  ])('of a version above 3 is UNIMPLEMENTED as %s', (_, reply) => {
    expect(() => parseBootstrap(reply)).toThrow(expect.objectContaining({ code: 'UNIMPLEMENTED' }));
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['words', Buffer.from('usage: shim [flags]\n')],
    ['one word', Buffer.from('hello')],
    ['JSON that is no object', Buffer.from('[1]')],
    ['an unknown protocol', protobuf(3, 'pigeon')],
    ['no protocol', Buffer.from(`{"version":2,"address":"${address}"}`)],
    ['no address', Buffer.from('{"version":2,"address":"","protocol":"ttrpc"}')],
  ])('is refused where it is %s', (_, reply) => {
    expect(() => parseBootstrap(reply)).toThrow(expect.objectContaining({ code: 'UNKNOWN' }));
  });

  test('is read again from what was saved of it', () => {
    const bootstrap: Bootstrap = { version: 3, address, protocol: 'grpc' };
    expect(parseBootstrap(Buffer.from(formatBootstrap(bootstrap)))).toEqual(bootstrap);
  });
});

test('the parameters of a start carry the options as an extension', () => {
  const options = { typeUrl: 'containerd.runc.v1.Options', value: Buffer.from([1, 2, 3]) };
  const bytes = encodeBootstrapParams({
    id: 'web',
    namespace: 'default',
    eventsAddress: '/e.sock',
    apiAddress: '/a.sock',
    publishBinary: '/bin/shimd',
    debug: true,
    socketDirectory: '/run/s',
    options,
  });
  const decoded = BootstrapParams.decode(bytes);
  expect(decoded).toMatchObject({
    instanceId: 'web',
    namespace: 'default',
    logLevel: -4,
    containerdTtrpcAddress: '/e.sock',
    containerdGrpcAddress: '/a.sock',
    containerdBinary: '/bin/shimd',
    socketDir: '/run/s',
  });
  const extension = decoded.extensions[0]?.value;
  expect(Buffer.from(extension?.value ?? [])).toEqual(options.value);
  expect(extension?.type_url).toBe(options.typeUrl);
});
