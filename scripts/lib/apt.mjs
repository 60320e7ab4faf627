// A private view of Debian's archive: the machine's own apt sources with the suite replaced, its own lists and cache.
// Needs no root, changes nothing outside its directory, and names no host: mirrors come from the machine.
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const limits = { maxBuffer: 64 << 20, timeout: 300_000 };

/** The release fields of /etc/os-release; empty where there is none. */
export async function osRelease() {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const fields = {};
  for (const line of text.split('\n')) {
    const match = /^([A-Z_]+)=(.*)$/.exec(line);
    if (match) fields[match[1]] = match[2].replace(/^"(.*)"$/, '$1');
  }
  return fields;
}

/** Stanzas of a deb822 file as lists of [field, value]; a value keeps its continuation lines. */
export function parseStanzas(text) {
  const stanzas = [];
  let current = [];
  for (const line of `${text}\n\n`.split('\n')) {
    if (line.startsWith('#')) continue;
    if (line.trim() === '') {
      if (current.length > 0) stanzas.push(current);
      current = [];
    } else if (/^\s/.test(line) && current.length > 0) {
      current[current.length - 1][1] += `\n${line}`;
    } else {
      const colon = line.indexOf(':');
      if (colon > 0) current.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
    }
  }
  return stanzas;
}

const words = (text) => text.split(/\s+/).filter((word) => word !== '');

/** deb822 text with every stanza that serves one of the `ours` suites' `main` turned to `suite`; '' where there is none. */
export function retargetDeb822(text, ours, suite) {
  const kept = parseStanzas(text).filter((stanza) => {
    const field = (name) => stanza.find(([key]) => key.toLowerCase() === name)?.[1];
    return (
      words(field('types') ?? '').includes('deb') &&
      field('enabled')?.toLowerCase() !== 'no' &&
      words(field('suites') ?? '').some((word) => ours.has(word)) &&
      words(field('components') ?? '').includes('main')
    );
  });
  const replaced = { types: 'deb', suites: suite, components: 'main' };
  return kept
    .map((stanza) => stanza.map(([key, value]) => `${key}: ${replaced[key.toLowerCase()] ?? value}`).join('\n'))
    .join('\n\n');
}

/** The same for the one-line form: `deb [options] uri suite components`. */
export function retargetOneLine(text, ours, suite) {
  const lines = [];
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (match && ours.has(match[3]) && words(match[4]).includes('main')) {
      lines.push(`deb ${match[1] ?? ''}${match[2]} ${suite} main`);
    }
  }
  return lines.join('\n');
}

async function machineSources() {
  const files = [];
  const read = async (file) => {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text) files.push({ deb822: file.endsWith('.sources'), text });
  };
  await read('/etc/apt/sources.list');
  const parts = '/etc/apt/sources.list.d';
  for (const name of (await readdir(parts).catch(() => [])).toSorted((a, b) => (a < b ? -1 : 1))) {
    if (/^[A-Za-z0-9_.-]+\.(list|sources)$/.test(name)) await read(path.join(parts, name));
  }
  return files;
}

/** One suite of the archive. */
export class Suite {
  constructor(name, directory) {
    this.name = name;
    this.directory = directory;
  }

  /** Fetches the suite's package lists. Throws where the machine has no source to make it from. */
  async update() {
    const release = await osRelease();
    const ours = new Set(
      [release.VERSION_CODENAME, 'stable', 'oldstable', 'testing', 'unstable', 'sid'].filter(Boolean),
    );
    const sources = { list: [], sources: [] };
    for (const { deb822, text } of await machineSources()) {
      const made = deb822 ? retargetDeb822(text, ours, this.name) : retargetOneLine(text, ours, this.name);
      if (made) sources[deb822 ? 'sources' : 'list'].push(made);
    }
    if (sources.list.length + sources.sources.length === 0) {
      throw new Error(
        `no Debian source in /etc/apt/sources.list or /etc/apt/sources.list.d serves ${release.VERSION_CODENAME ?? 'this release'} main; add one`,
      );
    }
    await rm(this.directory, { recursive: true, force: true });
    const at = (...names) => path.join(this.directory, ...names);
    await mkdir(at('sources.d'), { recursive: true });
    await mkdir(at('lists', 'partial'), { recursive: true });
    await mkdir(at('cache', 'archives', 'partial'), { recursive: true });
    await writeFile(at('sources.d', 'suite.list'), `${sources.list.join('\n')}\n`);
    await writeFile(at('sources.d', 'suite.sources'), `${sources.sources.join('\n\n')}\n`);
    await writeFile(at('empty'), '');
    await writeFile(
      at('apt.conf'),
      [
        // The machine's hooks are for its own lists, and need its own rights.
        '#clear APT::Update::Pre-Invoke;',
        '#clear APT::Update::Post-Invoke;',
        '#clear APT::Update::Post-Invoke-Success;',
        `Dir::Etc::SourceList "${at('empty')}";`,
        `Dir::Etc::SourceParts "${at('sources.d')}";`,
        'Dir::Etc::Preferences "/dev/null";',
        `Dir::Etc::PreferencesParts "${at('none')}";`,
        `Dir::State::Lists "${at('lists')}";`,
        `Dir::Cache "${at('cache')}";`,
        `Dir::Cache::archives "${at('cache', 'archives')}";`,
        'Acquire::Languages "none";',
        'Acquire::Retries "3";',
        'Acquire::PDiffs "false";',
        'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";',
        'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";',
        // As root, apt would drop to a user that may not write here.
        'APT::Sandbox::User "root";',
        '',
      ].join('\n'),
    );
    await mkdir(at('none'), { recursive: true });
    try {
      await this.#apt('apt-get', ['-q', 'update']);
    } catch (error) {
      // A third party's source may have no such suite while the archive has; whether it matters shows with the first package.
      this.updateProblem = error.stderr || error.message;
    }
  }

  /** The newest version of a package here; throws where there is none. */
  async version(name) {
    const { stdout } = await this.#apt('apt-cache', ['madison', name]);
    const versions = stdout
      .split('\n')
      .map((line) => line.split('|').map((part) => part.trim()))
      .filter(([found, , where]) => found === name && where?.includes('Packages'));
    if (versions.length === 0) {
      throw new Error(
        `no package ${name} in ${this.name}${this.updateProblem ? `: ${this.updateProblem.trim()}` : ''}`,
      );
    }
    return versions[0][1];
  }

  /** The libraries that a package needs, those of its libraries included; no programs. */
  async libraries(name) {
    const without = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
      (kind) => `--no-${kind}`,
    );
    const { stdout } = await this.#apt('apt-cache', ['depends', '--recurse', ...without, name]);
    // A package's own line has no indentation; a name that only others provide stands in angle brackets.
    return stdout.split('\n').filter((line) => /^lib[a-z0-9]/.test(line));
  }

  /** Downloads `name=version` and unpacks it into `into`. */
  async unpack(name, version, into) {
    const box = path.join(this.directory, `deb-${name}`);
    await rm(box, { recursive: true, force: true });
    await mkdir(box, { recursive: true });
    await mkdir(into, { recursive: true });
    await this.#apt('apt-get', ['-q', 'download', `${name}=${version}`], box);
    const deb = (await readdir(box)).find((file) => file.endsWith('.deb'));
    if (!deb) throw new Error(`apt-get download ${name}=${version} of ${this.name} left no .deb`);
    await run('dpkg-deb', ['-x', path.join(box, deb), into], limits);
    await rm(box, { recursive: true, force: true });
  }

  /** Drops the lists and downloads. */
  async close() {
    await rm(this.directory, { recursive: true, force: true });
  }

  #apt(program, args, cwd = this.directory) {
    return run(program, ['-c', path.join(this.directory, 'apt.conf'), ...args], {
      ...limits,
      cwd,
      env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
    });
  }
}

/** Puts `from` where `to` is or was, so that nobody sees half of it. */
export async function replaceDirectory(from, to) {
  const old = `${to}.old-${process.pid}`;
  await rename(to, old).catch((error) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rename(from, to);
  await rm(old, { recursive: true, force: true });
}
