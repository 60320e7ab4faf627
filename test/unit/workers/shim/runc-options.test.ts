import { expect, test } from 'vitest';
import { containerd } from '../../../../src/shared/proto/gen/task.js';
import { taskOptions } from '../../../../workers/shim/runc-options.ts';

const { Options } = containerd.runc.v1;
const typeUrl = 'containerd.runc.v1.Options';
const binary = '/usr/bin/containerd-shim-runc-v2';
const directories = { root: '/var/lib/shimd', state: '/run/shimd' };
const rootOf = (any: { value: Uint8Array } | undefined) => Options.decode(any?.value ?? new Uint8Array()).root;

test('runc keeps its state below ours where no options are given', () => {
  expect(taskOptions(binary, undefined, directories)).toMatchObject({ typeUrl });
  expect(rootOf(taskOptions(binary, undefined, directories))).toBe('/run/shimd/.runc');
});

test('other options stay, unknown ones too', () => {
  const unknown = Buffer.from([0xf8, 0x07, 0x01]);
  const value = Buffer.concat([Options.encode({ binaryName: 'crun', systemdCgroup: true }).finish(), unknown]);
  const made = taskOptions(binary, { typeUrl: `type.googleapis.com/${typeUrl}`, value }, directories);
  expect(Options.decode(made?.value ?? value)).toMatchObject({ binaryName: 'crun', systemdCgroup: true });
  expect(rootOf(made)).toBe('/run/shimd/.runc');
  expect(Buffer.from(made?.value ?? []).includes(unknown)).toBe(true);
});

test('a root that the client chose stays', () => {
  const value = Options.encode({ root: '/run/mine' }).finish();
  expect(rootOf(taskOptions(binary, { typeUrl, value }, directories))).toBe('/run/mine');
});

test('options of another type never reach a runc shim', () => {
  const other = { typeUrl: 'containerd.runc.v1.CheckpointOptions', value: new Uint8Array() };
  expect(() => taskOptions(binary, other, directories)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
});

test('options of other shims are passed on untouched', () => {
  const other = { typeUrl: 'io.shimd.process.v1.Options', value: Buffer.from([1]) };
  expect(taskOptions('/usr/bin/containerd-shim-kata-v2', other, directories)).toBe(other);
  expect(taskOptions('/usr/bin/containerd-shim-kata-v2', undefined, directories)).toBeUndefined();
});
