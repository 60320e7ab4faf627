import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const repository = path.resolve(import.meta.dirname, '../../../..');

/** Every module that loading `entry` loads with it, packages by their names; dynamic imports are not followed. */
function loadedWith(entry: string): Set<string> {
  const found = new Set<string>();
  const visit = (file: string) => {
    if (found.has(file) || !existsSync(file)) return;
    found.add(file);
    const source = readFileSync(file, 'utf8');
    for (const match of source.matchAll(/^(?:import|export)\s(?!type\b)[^;]*?from '([^']+)';/gm)) {
      const name = match[1] ?? '';
      if (name.startsWith('.')) visit(path.resolve(path.dirname(file), name));
      else found.add(name);
    }
  };
  visit(path.join(repository, entry));
  return found;
}

test.each([
  ['workers/entry.ts', ['winston', 'commander', 'zod', '@grpc/grpc-js']],
  ['src/cli/program.ts', ['winston', 'zod', '@grpc/grpc-js', 'koffi']],
  ['src/main.ts', ['winston', 'commander', 'zod', '@grpc/grpc-js', 'koffi']],
  ['src/daemon/serve.ts', ['zod', 'smol-toml', 'commander', 'koffi']],
])('%s does not load what it does not always need', (entry, packages) => {
  const loaded = loadedWith(entry);
  expect(loaded.size).toBeGreaterThan(0);
  expect(packages.filter((name) => loaded.has(name))).toEqual([]);
});
