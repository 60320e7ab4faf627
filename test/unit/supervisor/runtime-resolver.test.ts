import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RuntimeResolver } from '../../../src/supervisor/runtime-resolver.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'resolver-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function install(name: string): string {
  const file = path.join(directory, name);
  writeFileSync(file, '');
  chmodSync(file, 0o755);
  return file;
}

describe('the runtime resolver', () => {
  it('finds the binary of a dotted name in the first directory that has it, and an absolute path as it is', async () => {
    const shim = install('containerd-shim-runc-v2');
    const resolver = new RuntimeResolver(() => ['relative', '/nonexistent', directory]);
    expect(await resolver.resolve('io.containerd.runc.v2')).toBe(shim);
    expect(await resolver.resolve(shim)).toBe(shim);
  });

  it.each(['runc', '', 'bin/shim.v2', '../a.b', 'a.', '.v2'])('refuses %j and shows both right forms', async (name) => {
    await expect(new RuntimeResolver(() => [directory]).resolve(name)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/io\.containerd\.runc\.v2.*\/usr\/bin\/containerd-shim-runc-v2/),
    });
  });

  it.each(['io.containerd.absent.v1', '/nonexistent/shim'])(
    'says that %s is not installed, and finds it once it is',
    async (name) => {
      const resolver = new RuntimeResolver(() => [directory]);
      const error: unknown = await resolver.resolve(name).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'UNKNOWN', message: expect.stringContaining('is not installed') });
      expect(String(error)).not.toMatch(/not found|no such file/i);
      if (name.startsWith('/')) return;
      install('containerd-shim-absent-v1');
      expect(await resolver.resolve(name)).toContain('absent');
    },
  );
});
