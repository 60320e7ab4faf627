#!/usr/bin/env node
// `npm run quickstart`: runs what the build made of src/cli/quickstart. SHIMD_BUILD=DIR takes another build than dist/.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const build = path.resolve(root, process.env.SHIMD_BUILD ?? 'dist');
const main = path.join(build, 'src/cli/quickstart/main.js');
if (existsSync(main)) {
  await import(pathToFileURL(main).href);
} else {
  console.error(`quickstart: there is no build in ${build}; 'npm ci' makes one, 'npm run build' makes it anew`);
  process.exitCode = 1;
}
