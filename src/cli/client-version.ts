import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The version of the package that this file belongs to; `unknown` where its `package.json` is not found. */
export async function clientVersion(): Promise<string> {
  // The build's layout puts more directories between the two than the sources' does.
  for (let directory = path.dirname(fileURLToPath(import.meta.url)); ; directory = path.dirname(directory)) {
    const text = await readFile(path.join(directory, 'package.json'), 'utf8').catch(() => undefined);
    if (text !== undefined) {
      const found: unknown = JSON.parse(text);
      if (isPackage(found) && found.name === 'shimd') return found.version;
    }
    if (directory === path.dirname(directory)) return 'unknown';
  }
}

function isPackage(value: unknown): value is { readonly name: string; readonly version: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    'version' in value &&
    typeof value.version === 'string'
  );
}
