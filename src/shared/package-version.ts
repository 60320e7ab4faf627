import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The version of the package that this file belongs to; `unknown` where its `package.json` is not found. */
export function packageVersion(): string {
  // The build's layout puts more directories between the two than the sources' does.
  for (let directory = path.dirname(fileURLToPath(import.meta.url)); ; directory = path.dirname(directory)) {
    const version = versionIn(path.join(directory, 'package.json'));
    if (version !== undefined) return version;
    if (directory === path.dirname(directory)) return 'unknown';
  }
}

function versionIn(file: string): string | undefined {
  try {
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof found !== 'object' || found === null || !('name' in found) || !('version' in found)) return undefined;
    return found.name === 'shimd' && typeof found.version === 'string' ? found.version : undefined;
  } catch {
    return undefined;
  }
}
