import { describe, expect, it } from 'vitest';
import type { BinaryFacts } from '../../../src/shared/messages/index.ts';
import { sharingOf } from '../../../src/supervisor/sharing.ts';
import { noStdio } from './fixture.ts';

const runc = (version?: string): BinaryFacts => ({
  binary: '/usr/bin/containerd-shim-runc-v2',
  version,
  startForm: 'unknown',
});
const plain = {
  facts: { hooks: false, ownsPidNamespace: true, group: undefined, idMappedMounts: false },
  stdio: noStdio,
  restore: false,
};
const hooked = { ...plain, facts: { ...plain.facts, hooks: true } };
const hostPid = { ...plain, facts: { ...plain.facts, ownsPidNamespace: false } };
const grouped = { ...plain, facts: { ...plain.facts, group: 'pod' } };
const logged = { ...plain, stdio: { ...noStdio, stdout: 'binary:///logger' } };
const restored = { ...plain, restore: true };

describe('sharing by default', () => {
  it.each([
    ['1.6.20', plain, 'per-task'],
    ['1.7.24', plain, 'shared'],
    ['1.7.24', hooked, 'per-task'],
    ['1.7.24', logged, 'per-task'],
    ['2.3.1', hooked, 'per-task'],
    ['2.3.2', hooked, 'shared'],
    ['2.4.0', logged, 'shared'],
    ['2.4.0', hostPid, 'per-task'],
    ['2.4.0', restored, 'per-task'],
    ['2.4.0', grouped, 'per-task'],
    [undefined, plain, 'per-task'],
  ] as const)('with a runc shim of %s', (version, request, mode) => {
    expect(sharingOf(request, runc(version), 'auto')).toBe(mode);
  });

  it('is not done with a shim that nothing is known of, and always with the embedded one', () => {
    expect(sharingOf(plain, { ...runc('9.9.9'), binary: '/bin/containerd-shim-kata-v2' }, 'auto')).toBe('per-task');
    expect(sharingOf(hostPid, { ...runc(), binary: '/bin/containerd-shim-process-v1' }, 'auto')).toBe('shared');
  });
});

describe('sharing as configured', () => {
  it('follows the setting, but never shares a shim that mixes up exits', () => {
    expect(sharingOf(plain, runc('2.4.0'), 'per-task')).toBe('per-task');
    expect(sharingOf(plain, runc(), 'shared')).toBe('shared');
    expect(sharingOf(hooked, runc(), 'shared')).toBe('per-task');
    expect(sharingOf(plain, runc('1.6.20'), 'shared')).toBe('per-task');
  });
});
