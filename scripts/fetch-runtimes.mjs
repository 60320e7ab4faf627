#!/usr/bin/env node
// Puts real runtimes into .cache/runtimes: runc, and containerd's shim and ctr of several generations, from Debian's archive.
// Needs no root and installs nothing. A second run finds everything there and is done at once; `--refresh` looks for newer versions,
// `--engine` also brings Docker Engine.
// Elsewhere than on Debian it takes what is on PATH. What there is goes into .cache/runtimes/manifest.json.
import { execFile } from 'node:child_process';
import { access, constants, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { osRelease, replaceDirectory, Suite } from './lib/apt.mjs';
import { withLock } from './lib/directory-lock.mjs';
import { isStatic, makeRootfs } from './lib/rootfs.mjs';

/** Generation → the suite and the packages that it is taken from. Versions are what the suite has: nothing is pinned. */
const generationSets = {
  bookworm: { suite: 'bookworm', packages: ['runc', 'busybox-static', 'containerd'] },
  trixie: { suite: 'trixie', packages: ['containerd'] },
  sid: { suite: 'sid', packages: ['containerd'] },
};
/** Where criu is taken from, with a libc and libraries of its own: older ones fail on newer kernels. */
const criuSuite = 'trixie';
/** Docker Engine, apart from the others: 150 MB that only the tests of clients need. */
const engineSet = { suite: 'bookworm', packages: ['docker.io', 'tini', 'libdevmapper1.02.1'] };
const engineDirectory = 'engine';

const run = promisify(execFile);
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
export const cacheDirectory = path.join(root, '.cache');
const runtimes = path.join(cacheDirectory, 'runtimes');
export const manifestFile = path.join(runtimes, 'manifest.json');
const rootfs = path.join(cacheDirectory, 'rootfs/busybox');

const readJson = async (file) => JSON.parse(await readFile(file, 'utf8').catch(() => 'null'));
const runs = (file) =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );

/** What a program says of its version, in the words before the first digit dropped; undefined where it does not run. */
async function versionOf(program, args, env = process.env) {
  const said = await run(program, args, { timeout: 10_000, env }).catch((error) => error);
  return /(\d+\.\d+\.\d+[^\s]*)/.exec(`${said.stdout ?? ''}${said.stderr ?? ''}`)?.[1];
}

async function fetchSet(name, { suite: from, packages: wanted }, { refresh, say }) {
  const directory = path.join(runtimes, name);
  const stampFile = path.join(directory, 'stamp.json');
  const stamp = await readJson(stampFile);
  if (!refresh && stamp && wanted.every((one) => stamp.packages[one])) return stamp;
  const suite = new Suite(from, path.join(runtimes, `.apt-${name}`));
  try {
    say(`${name}: reading the package lists`);
    await suite.update();
    const versions = {};
    for (const one of wanted) versions[one] = await suite.version(one);
    if (stamp && wanted.every((one) => stamp.packages[one] === versions[one])) return stamp;
    const fresh = path.join(runtimes, `.new-${name}`);
    await rm(fresh, { recursive: true, force: true });
    for (const one of wanted) {
      say(`${name}: fetching ${one} ${versions[one]}`);
      await suite.unpack(one, versions[one], fresh);
    }
    const made = { suite: from, packages: versions };
    await writeFile(path.join(fresh, 'stamp.json'), `${JSON.stringify(made, null, 2)}\n`);
    await replaceDirectory(fresh, directory);
    return made;
  } finally {
    await suite.close();
  }
}

/**
 * criu with everything that it is linked with, and a program `bin/criu` that starts it with that libc and not the machine's.
 * Undefined, with the reason said, where it cannot be had: only the tests of checkpoints need it.
 */
async function fetchCriu({ refresh, say }) {
  const directory = path.join(runtimes, 'criu');
  const wrapper = path.join(directory, 'bin/criu');
  if (!refresh && (await runs(wrapper))) {
    // It may be one that an earlier version of this program wrote.
    await writeCriuWrapper(directory);
    return wrapper;
  }
  const suite = new Suite(criuSuite, path.join(runtimes, '.apt-criu'));
  const fresh = path.join(runtimes, '.new-criu');
  try {
    await suite.update();
    say(`${criuSuite}: fetching criu ${await suite.version('criu')} and its libraries`);
    await rm(fresh, { recursive: true, force: true });
    for (const one of ['criu', ...(await suite.libraries('criu'))]) {
      await suite.unpack(one, await suite.version(one), fresh);
    }
    await writeCriuWrapper(fresh);
    await replaceDirectory(fresh, directory);
    return wrapper;
  } catch (error) {
    say(`criu: not fetched, checkpoints are not tested: ${error.stderr?.trim() || error.message}`);
    return undefined;
  } finally {
    await rm(fresh, { recursive: true, force: true });
    await suite.close();
  }
}

async function writeCriuWrapper(directory) {
  const lib = path.join(directory, 'usr/lib');
  for (const triplet of await readdir(lib)) {
    const loader = (await readdir(path.join(lib, triplet)).catch(() => [])).find((name) =>
      /^ld-linux.*\.so/.test(name),
    );
    if (loader === undefined) continue;
    await mkdir(path.join(directory, 'bin'), { recursive: true });
    // Where a container has a network namespace, criu locks it with iptables, which not every host has; here nothing is connected.
    await writeFile(path.join(directory, 'criu.conf'), 'network-lock skip\n');
    const script = [
      '#!/bin/sh',
      'here=$(dirname "$(dirname "$(readlink -f "$0")")")',
      'export CRIU_CONFIG_FILE="$here/criu.conf"',
      `exec "$here/usr/lib/${triplet}/${loader}" --library-path "$here/usr/lib/${triplet}" "$here/usr/sbin/criu" "$@"`,
    ];
    await writeFile(path.join(directory, 'bin/criu'), `${script.join('\n')}\n`, { mode: 0o755 });
    return;
  }
  throw new Error(`no dynamic loader in the libc of ${criuSuite}`);
}

/** The first of `candidates` that can be executed. */
async function firstOf(candidates) {
  for (const candidate of candidates) if (await runs(candidate)) return candidate;
  return undefined;
}

const onPath = (name) =>
  firstOf(
    (process.env.PATH ?? '')
      .split(path.delimiter)
      .filter(Boolean)
      .map((directory) => path.join(directory, name)),
  );

/** A generation: one containerd's shim and ctr. Undefined, with the reason said, where its programs do not run here. */
async function generation(name, shim, ctr, say) {
  const version = shim && (await versionOf(shim, ['-v']));
  const ctrVersion = ctr && (await versionOf(ctr, ['--version']));
  if (!version || !ctrVersion) {
    say(`${name}: ${shim ?? 'containerd-shim-runc-v2'} or ${ctr ?? 'ctr'} is missing or does not run here; left out`);
    return undefined;
  }
  return { name, version: version.replace(/[~+].*$/, ''), shim, ctr };
}

/** Where the shared libraries of an unpacked package are, whatever the architecture's name for it. */
async function libraryDirectories(unpacked) {
  const found = [];
  for (const parent of ['lib', 'usr/lib'].map((name) => path.join(unpacked, name))) {
    for (const entry of await readdir(parent, { withFileTypes: true }).catch(() => [])) {
      if (entry.isDirectory() && /-linux-/.test(entry.name)) found.push(path.join(parent, entry.name));
    }
  }
  return found;
}

/** Docker Engine's programs; undefined where they are not there or do not run. */
async function engine(debian) {
  const unpacked = path.join(runtimes, engineDirectory);
  const dockerd = debian ? path.join(unpacked, 'usr/sbin/dockerd') : await onPath('dockerd');
  const docker = debian ? path.join(unpacked, 'usr/bin/docker') : await onPath('docker');
  if (!dockerd || !docker) return undefined;
  const libraries = debian ? await libraryDirectories(unpacked) : [];
  const env = { ...process.env, ...(debian ? { LD_LIBRARY_PATH: libraries.join(':') } : {}) };
  const version = await versionOf(dockerd, ['--version'], env);
  if (!version || !(await versionOf(docker, ['--version']))) return undefined;
  return { version: version.replace(/[~+].*$/, '').replace(/,$/, ''), dockerd, docker, libraries };
}

async function collect(debian, criu, say) {
  const missing = [];
  const generations = [];
  for (const name of debian ? Object.keys(generationSets) : []) {
    const bin = path.join(runtimes, name, 'usr/bin');
    generations.push(await generation(name, path.join(bin, 'containerd-shim-runc-v2'), path.join(bin, 'ctr'), say));
  }
  if (!debian)
    generations.push(await generation('path', await onPath('containerd-shim-runc-v2'), await onPath('ctr'), say));
  const runc = debian ? path.join(runtimes, 'bookworm/usr/sbin/runc') : await onPath('runc');
  const runcVersion = runc && (await versionOf(runc, ['--version']));
  if (!runcVersion) missing.push('runc');
  const busybox = debian ? path.join(runtimes, 'bookworm/bin/busybox') : await onPath('busybox');
  if (!busybox || !(await runs(busybox)) || !(await isStatic(busybox))) missing.push('a static busybox');
  else if (!(await runs(path.join(rootfs, 'bin/busybox')))) await makeRootfs(busybox, rootfs);
  const found = generations.filter(Boolean);
  const criuVersion = criu && (await versionOf(criu, ['--version']));
  const dockerEngine = await engine(debian);
  if (found.length === 0) missing.push('containerd-shim-runc-v2 and ctr');
  return {
    generations: found,
    ...(runcVersion ? { runc: { version: runcVersion, path: runc } } : {}),
    ...(missing.includes('a static busybox') ? {} : { rootfs }),
    ...(criuVersion ? { criu: { version: criuVersion, path: criu } } : {}),
    ...(dockerEngine ? { engine: dockerEngine } : {}),
    missing,
  };
}

function table(manifest) {
  const rows = [['program', 'version', 'where']];
  if (manifest.runc) rows.push(['runc', manifest.runc.version, path.relative(root, manifest.runc.path)]);
  for (const { name, version, shim } of manifest.generations) {
    rows.push([`shim+ctr (${name})`, version, path.relative(root, path.dirname(shim))]);
  }
  if (manifest.criu) rows.push(['criu', manifest.criu.version, path.relative(root, manifest.criu.path)]);
  if (manifest.engine) {
    const { version, dockerd } = manifest.engine;
    rows.push(['Docker Engine', version, path.relative(root, path.dirname(dockerd))]);
  }
  if (manifest.rootfs) rows.push(['busybox rootfs', '', path.relative(root, manifest.rootfs)]);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => `  ${row[0].padEnd(widths[0])}  ${row[1].padEnd(widths[1])}  ${row[2]}`).join('\n');
}

/** Fetches what is missing, writes the manifest and answers it. Throws where the archive cannot be reached. */
export async function fetchRuntimes({
  refresh = false,
  engine: withEngine = false,
  say = (line) => console.log(line),
} = {}) {
  const release = await osRelease();
  const debian =
    release.ID === 'debian' &&
    Boolean(await onPath('apt-get')) &&
    Boolean(await onPath('dpkg-deb')) &&
    process.arch !== 'ia32';
  await mkdir(runtimes, { recursive: true });
  return withLock(
    path.join(cacheDirectory, 'runtimes.lock'),
    async () => {
      if (debian) {
        // All are waited for, so that none is still writing when the lock is given back.
        const sets = { ...generationSets, ...(withEngine ? { [engineDirectory]: engineSet } : {}) };
        const done = await Promise.allSettled(
          Object.entries(sets).map(([name, set]) => fetchSet(name, set, { refresh, say })),
        );
        const failed = done.find((one) => one.status === 'rejected');
        if (failed) throw failed.reason;
      }
      const criu = debian ? await fetchCriu({ refresh, say }) : await onPath('criu');
      const manifest = await collect(debian, criu, say);
      const temporary = `${manifestFile}.${process.pid}`;
      await writeFile(temporary, `${JSON.stringify(manifest, null, 2)}\n`);
      await rename(temporary, manifestFile);
      return manifest;
    },
    { onWait: () => say('another run is fetching the runtimes; waiting for it') },
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      refresh: { type: 'boolean', default: false },
      engine: { type: 'boolean', default: false },
    },
  });
  try {
    const manifest = await fetchRuntimes(values);
    console.log(`runtimes in .cache:\n${table(manifest)}`);
    if (manifest.missing.length > 0) {
      console.log(
        `missing: ${manifest.missing.join(', ')}; install them and put them on PATH to run the tests that need them`,
      );
      process.exitCode = 1;
    }
  } catch (error) {
    console.error(`fetch-runtimes: ${error.stderr?.trim() || error.message}`);
    process.exitCode = 1;
  }
}
