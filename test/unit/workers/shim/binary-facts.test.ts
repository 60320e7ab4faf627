import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BinaryFactsCache, factsOf } from '../../../../workers/shim/binary-facts.ts';

const runc = '/usr/bin/containerd-shim-runc-v2';
const printed = (version: string) => `${runc}:\n  Version:  ${version}\n  Revision: abc\n  Go version: go1.24.4\n`;

describe('what -v prints', () => {
  test.each([
    ['1.6.20~ds1', '1.6.20', 'options-any'],
    ['v1.7.24', '1.7.24', 'options-any'],
    ['2.1.9+unknown', '2.1.9', 'options-any'],
    ['2.2.0', '2.2.0', 'options-any'],
    ['2.3.0-beta.0', '2.3.0', 'bootstrap-params'],
    ['v2.10.1', '2.10.1', 'bootstrap-params'],
    ['3.0.0', '3.0.0', 'bootstrap-params'],
  ])('of containerd %s tells which form its start takes', (version, parsed, startForm) => {
    expect(factsOf(runc, printed(version))).toEqual({ binary: runc, version: parsed, startForm });
  });

  test('tells nothing about the form where the version is not containerd’s', () => {
    const binary = '/usr/bin/containerd-shim-kata-v2';
    expect(factsOf(binary, 'Kata shim: id: io.containerd.kata.v2, version: 3.2.0')).toEqual({
      binary,
      version: '3.2.0',
      startForm: 'unknown',
    });
  });

  test('tells nothing where there is no version in it', () => {
    expect(factsOf(runc, 'flag provided but not defined: -v')).toEqual({ binary: runc, startForm: 'unknown' });
  });
});

describe('the facts of a binary', () => {
  let directory: string;
  let binary: string;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'shimd-facts-'));
    binary = path.join(directory, 'containerd-shim-runc-v2');
    await writeFile(binary, '');
  });

  afterEach(() => rm(directory, { recursive: true }));

  test('are asked once, and again when the binary was replaced', async () => {
    const versions = ['1.7.24', '2.3.0'];
    let asked = 0;
    const cache = new BinaryFactsCache(async () => printed(versions[asked++] ?? ''));
    await Promise.all([cache.get(binary), cache.get(binary)]);
    expect(asked).toBe(1);
    await utimes(binary, 1, 1);
    expect(await cache.get(binary)).toMatchObject({ version: '2.3.0', startForm: 'bootstrap-params' });
    expect(asked).toBe(2);
  });

  test('are asked again after a failure', async () => {
    let asked = 0;
    const cache = new BinaryFactsCache(async () => {
      asked += 1;
      if (asked === 1) throw new Error('busy');
      return printed('1.7.24');
    });
    await expect(cache.get(binary)).rejects.toThrow('busy');
    expect(await cache.get(binary)).toMatchObject({ version: '1.7.24' });
  });

  test('remember the form that worked', async () => {
    const cache = new BinaryFactsCache(async () => '');
    await cache.learn(binary, 'options-any');
    expect(await cache.get(binary)).toEqual({ binary, startForm: 'options-any' });
  });

  test('of a missing binary are an error in words that no client takes for a missing container', async () => {
    const cache = new BinaryFactsCache(async () => '');
    const missing = cache.get(path.join(directory, 'none'));
    await expect(missing).rejects.toMatchObject({ code: 'UNKNOWN' });
    await expect(missing).rejects.toThrow(/not installed/);
    await expect(missing).rejects.not.toThrow(/not found|no such/i);
  });
});
