import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseNamespace, parseSandboxId, parseShimId } from '../../../../src/shared/identifiers.ts';
import type { SandboxRecord } from '../../../../src/shared/sandbox-record.ts';
import { prepareShimBundle } from '../../../../workers/shim/bundle.ts';
import { prepareSandboxBundle } from '../../../../workers/shim/sandbox-bundle.ts';

const namespace = parseNamespace('default');
const sandbox = parseSandboxId('pod');
const record: SandboxRecord = { namespace, sandbox, binary: '/bin/shim', runtime: 'shim', phase: 'creating', pid: 0 };

/** A file system takes a page for each file that is not empty. */
const page = 4096;

describe.skipIf(process.getuid?.() !== 0)('on a full disk', () => {
  let top: string;
  let state: string;

  beforeEach(() => {
    top = mkdtempSync(path.join(tmpdir(), 'shimd-full-'));
    state = path.join(top, 'state');
    mkdirSync(state);
    const options = ['-t', 'tmpfs', '-o', `size=${2 * page}`];
    expect(spawnSync('mount', [...options, 'tmpfs', state]).status).toBe(0);
  });

  afterEach(() => {
    spawnSync('umount', [state]);
    rmSync(top, { recursive: true });
  });

  const directories = () => ({ state, root: path.join(top, 'root') });
  const left = (holder: string) => readdirSync(path.join(state, namespace, holder));

  test.each([
    ['its spec', 3 * page],
    ['its record', 2 * page],
  ])('nothing is left of a sandbox’s bundle that has no room for %s', async (_, size) => {
    const making = prepareSandboxBundle(directories(), record, Buffer.alloc(size, ' '));
    await expect(making).rejects.toThrow('ENOSPC');
    expect(left('.sandboxes')).toEqual([]);
    // There is room again.
    await prepareSandboxBundle(directories(), record, Buffer.from('{}'));
    expect(left('.sandboxes')).toEqual(['pod']);
  });

  test('nothing is left of a shared shim’s bundle', () => {
    expect(spawnSync('dd', ['if=/dev/zero', `of=${path.join(state, 'filler')}`, 'bs=4096', 'count=2']).status).toBe(0);
    expect(() => prepareShimBundle(directories(), namespace, parseShimId('shim'))).toThrow('ENOSPC');
    expect(left('.shims')).toEqual([]);
  });
});
