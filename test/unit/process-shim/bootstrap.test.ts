import { describe, expect, it } from 'vitest';
import { encodeBootstrapReply, parseBootstrap } from '../../../src/process-shim/bootstrap.ts';
import { containerd, google } from '../../../src/shared/proto/gen/task.js';

const { BootstrapParams, BootstrapResult } = containerd.runtime.bootstrap.v1;
const defaults = {
  id: 'flag-id',
  namespace: 'flag-ns',
  address: '/flag.sock',
  debug: false,
  environment: { TTRPC_ADDRESS: '/env-events.sock' },
};

describe('parseBootstrap', () => {
  it('prefers what BootstrapParams say, and answers in kind', () => {
    const params = BootstrapParams.encode({
      instanceId: 'i',
      namespace: 'n',
      logLevel: -4,
      containerdTtrpcAddress: '/events.sock',
      containerdGrpcAddress: '/grpc.sock',
      socketDir: '/run/x',
    }).finish();
    expect(parseBootstrap(params, defaults)).toEqual({
      id: 'i',
      namespace: 'n',
      eventsAddress: '/events.sock',
      grpcAddress: '/grpc.sock',
      socketDirectory: '/run/x',
      debug: true,
      reply: 'protobuf',
    });
  });

  const fromFlags = {
    id: 'flag-id',
    namespace: 'flag-ns',
    eventsAddress: '/env-events.sock',
    grpcAddress: '/flag.sock',
    socketDirectory: undefined,
    debug: false,
    reply: 'json',
  };

  it('uses flags and environment where stdin is empty', () => {
    expect(parseBootstrap(new Uint8Array(), defaults)).toEqual(fromFlags);
  });

  it.each([
    ['text', Buffer.from('/x')],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x80])],
    ['nothing', new Uint8Array()],
  ])('takes an Any whose value is %s for the older form', (_, value) => {
    const any = google.protobuf.Any.encode({ type_url: 'containerd.runc.v1.Options', value }).finish();
    expect(parseBootstrap(any, defaults)).toEqual(fromFlags);
  });

  it('does not fail on bytes that are no message', () => {
    expect(parseBootstrap(Buffer.from([0xff, 0xff, 0xff]), defaults)).toEqual(fromFlags);
  });
});

describe('encodeBootstrapReply', () => {
  it('says the same in both forms', () => {
    const expected = { version: 3, address: 'unix:///s/a.sock', protocol: 'ttrpc' };
    expect(JSON.parse(Buffer.from(encodeBootstrapReply('/s/a.sock', 'json')).toString())).toEqual(expected);
    expect(BootstrapResult.decode(encodeBootstrapReply('/s/a.sock', 'protobuf'))).toMatchObject(expected);
  });
});
