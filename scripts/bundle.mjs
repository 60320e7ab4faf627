// Makes one file of each program that somebody waits for: the daemon, its threads, the embedded runtime's shim, the client.
// Loading hundreds of modules one by one takes Node some 300 ms, at the restart of a daemon as well.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { rolldown } from 'rolldown';

/**
 * Each is written over what the compiler made of it, with its lazy parts beside it: a path relative to a module's own stays
 * right where the module was as deep below dist/. The other files stay as they are, for the library.
 */
const programs = ['src/daemon/serve-command.js', 'src/cli/program.js', 'src/process-shim/main.js', 'workers/entry.js'];

/** They load files of their own, by paths relative to their own. */
const external = ['lmdb', 'koffi', 'piscina', '@lydell/node-pty', 're2js'];

const part = /^part-.*\.js$/;

/** Bundles the programs of the build in `out`. Rejects where a module is missing. */
export async function bundle(out) {
  const packages = new Set();
  for (const program of programs) {
    const directory = path.join(out, path.dirname(program));
    for (const name of await readdir(directory)) if (part.test(name)) await rm(path.join(directory, name));
    const input = path.join(out, program);
    const build = await rolldown({ input, platform: 'node', external, logLevel: 'warn' });
    const { output } = await build.write({
      dir: directory,
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: 'part-[name].js',
    });
    await build.close();
    for (const { moduleIds = [] } of output) for (const id of moduleIds) addPackage(packages, id);
  }
  await writeFile(path.join(out, 'licenses-of-bundled-packages.txt'), await licenses(packages));
}

/** The directory of the package that a module is of, where it is not of this one. */
function addPackage(packages, id) {
  const [directory] = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id) ?? [];
  if (directory !== undefined) packages.add(directory);
}

/** What those who wrote the bundled packages ask to be passed on with them. */
async function licenses(packages) {
  const texts = [];
  for (const directory of [...packages].toSorted((one, other) => one.localeCompare(other))) {
    const { name, version, license } = JSON.parse(await readFile(path.join(directory, 'package.json'), 'utf8'));
    const file = (await readdir(directory)).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
    const text = file === undefined ? '' : await readFile(path.join(directory, file), 'utf8');
    texts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}
