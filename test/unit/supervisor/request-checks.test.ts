import { describe, expect, it } from 'vitest';
import { typeUrls } from '../../../src/shared/wire/any.ts';
import { Registry } from '../../../src/supervisor/registry.ts';
import {
  checkExecSpec,
  checkOptions,
  checkResources,
  checkSignal,
  checkStartable,
  checkStdio,
} from '../../../src/supervisor/request-checks.ts';
import { specFacts } from '../../../src/supervisor/spec-facts.ts';
import { addTask, noStdio } from './fixture.ts';

const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
const any = (typeUrl: string, value = '{}') => ({ typeUrl, value: Buffer.from(value) });

describe('requests that no shim survives', () => {
  it('are refused: an exec without a spec that is JSON', () => {
    for (const spec of [undefined, any(''), any('t', ''), any('t', '{'), any('t', '[]')]) {
      expect(() => checkExecSpec(spec)).toThrow(refused);
    }
    expect(() => checkExecSpec(any('t', '{"args":[]}'))).not.toThrow();
  });

  it('are refused: an update without resources', () => {
    expect(() => checkResources(undefined)).toThrow(refused);
    expect(() => checkResources(any('t', ''))).toThrow(refused);
  });

  it('are refused: options of another type for a runc shim', () => {
    const runc = '/usr/bin/containerd-shim-runc-v2';
    expect(() => checkOptions(runc, any(typeUrls.runcCheckpointOptions))).toThrow(refused);
    expect(() => checkOptions(runc, any(`type.googleapis.com/${typeUrls.runcOptions}`))).not.toThrow();
    expect(() => checkOptions('/usr/bin/containerd-shim-kata-v2', any('kata'))).not.toThrow();
  });

  it('are refused: stdout to a file without stderr', () => {
    expect(() => checkStdio({ ...noStdio, stdout: 'file:///x' })).toThrow(refused);
    expect(() => checkStdio({ ...noStdio, stdout: 'file:///x', stderr: 'file:///x' })).not.toThrow();
  });

  it('are refused: a second start, whatever came of the first', () => {
    const { init } = addTask(new Registry(), 'a');
    expect(() => checkStartable(init)).not.toThrow();
    for (const kind of ['start-failed', 'running'] as const) {
      init.set({ kind, pid: 1 });
      expect(() => checkStartable(init)).toThrow(refused);
    }
    // Its answer may have been lost, and what came of it is soon known.
    init.set({ kind: 'starting', pid: 1 });
    expect(() => checkStartable(init)).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }));
  });

  it('are refused: numbers that are no signal', () => {
    for (const signal of [0, -1, 65, 1.5, Number.NaN]) expect(() => checkSignal(signal)).toThrow(refused);
    checkSignal(9);
  });

  it('are refused: specs that are no JSON object', () => {
    for (const text of ['', '{', '[]', 'null']) expect(() => specFacts(Buffer.from(text))).toThrow(refused);
  });
});

describe('the facts of a spec', () => {
  it('are read from it', () => {
    const spec = {
      hooks: { prestart: [{ path: '/x' }] },
      annotations: { 'io.kubernetes.cri.sandbox-id': 'pod' },
      linux: { namespaces: [{ type: 'pid' }] },
    };
    expect(specFacts(Buffer.from(JSON.stringify(spec)))).toEqual({
      hooks: true,
      ownsPidNamespace: true,
      group: 'pod',
      idMappedMounts: false,
    });
    const joined = {
      mounts: [{ uidMappings: [{}] }],
      hooks: { prestart: [] },
      linux: { namespaces: [{ type: 'pid', path: '/proc/1/ns/pid' }] },
    };
    expect(specFacts(Buffer.from(JSON.stringify(joined)))).toEqual({
      hooks: false,
      ownsPidNamespace: false,
      group: undefined,
      idMappedMounts: true,
    });
  });
});
