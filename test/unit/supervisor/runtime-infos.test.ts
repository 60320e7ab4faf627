import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TaskError } from '../../../src/shared/errors/index.ts';
import type { RuntimeInfo } from '../../../src/shared/messages/index.ts';
import { RuntimeInfos } from '../../../src/supervisor/runtime-infos.ts';

const infoWith = (features: object): RuntimeInfo => ({
  name: 'runc',
  version: '1.2.3',
  revision: '',
  features: { typeUrl: 'features', value: Buffer.from(JSON.stringify(features)) },
  annotations: {},
});

describe('what runtimes say of themselves', () => {
  let directory: string;
  let binary: string;

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'infos-'));
    binary = path.join(directory, 'containerd-shim-runc-v2');
    writeFileSync(binary, '');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  test('is asked once for a binary and its options, and again when the binary is another', async () => {
    const asked: string[] = [];
    const infos = new RuntimeInfos(async (_, options) => {
      asked.push(options?.typeUrl ?? '');
      return infoWith({});
    });
    await Promise.all([infos.get(binary, undefined), infos.get(binary, undefined)]);
    await infos.get(binary, { typeUrl: 'other', value: new Uint8Array() });
    expect(asked).toEqual(['', 'other']);
    utimesSync(binary, 1, 1);
    await infos.get(binary, undefined);
    expect(asked).toEqual(['', 'other', '']);
  });

  test('is not kept where asking failed', async () => {
    let asked = 0;
    const infos = new RuntimeInfos(async () => {
      asked += 1;
      throw new TaskError('UNKNOWN', 'no -info here');
    });
    await expect(infos.get(binary, undefined)).rejects.toThrow('no -info here');
    await expect(infos.get(binary, undefined)).rejects.toThrow('no -info here');
    expect(asked).toBe(2);
  });

  test.each([
    ['that says so', { linux: { mountExtensions: { idmap: { enabled: true } } } }, true],
    ['that says no', { linux: { mountExtensions: { idmap: { enabled: false } } } }, false],
    ['of a time before there was such a thing', { linux: { namespaces: ['user'] } }, false],
    ['that says nothing', {}, false],
  ])('lets only a runtime %s have id-mapped mounts', async (_, features, allowed) => {
    const infos = new RuntimeInfos(async () => infoWith(features));
    const failure = await infos.assertMapsMounts(binary, undefined).catch((error: unknown) => TaskError.from(error));
    expect(failure?.code).toBe(allowed ? undefined : 'UNIMPLEMENTED');
  });

  test('refuses id-mapped mounts with the reason where a runtime cannot be asked', async () => {
    const infos = new RuntimeInfos(async () => {
      throw new TaskError('UNKNOWN', 'flag provided but not defined: -info');
    });
    const refused = infos.assertMapsMounts(binary, undefined);
    await expect(refused).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    await expect(refused).rejects.toThrow(/id-mapped mounts.*flag provided but not defined/);
  });
});
