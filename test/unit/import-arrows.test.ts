import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const repository = path.resolve(import.meta.dirname, '../..');
const oxlint = path.join(path.dirname(createRequire(import.meta.url).resolve('oxlint/package.json')), 'bin/oxlint');

/** [file, its import] pairs that go against an arrow of docs/architecture.md. */
const refused = [
  ['src/shared/util/x.ts', "import { a } from '../../supervisor/index.ts';"],
  ['src/shared/x.ts', "import { a } from './../store/store.ts';"],
  ['src/shared/x2.ts', "import { open } from 'lmdb';"],
  ['src/shared/x3.ts', "import { Server } from '@grpc/grpc-js';"],
  ['src/shared/x4.ts', "import { Worker } from 'node:worker_threads';"],
  ['src/cli/x.ts', "import { a } from '../api/server.ts';"],
  ['src/cli/commands/x.ts', "import { a } from '../../supervisor/index.ts';"],
  ['src/api/x.ts', "import { a } from '../pool/pool.ts';"],
  ['src/api/services/x.ts', "import { a } from '../../daemon/serve.ts';"],
  ['src/supervisor/x.ts', "import { a } from '../api/server.ts';"],
  ['src/supervisor/x2.ts', "import { Piscina } from 'piscina';"],
  ['src/supervisor/x3.ts', "import { a } from '../../workers/entry.ts';"],
  ['src/pool/x.ts', "import { a } from '../supervisor/index.ts';"],
  ['src/pool/x2.ts', "import { a } from '../../workers/entry.ts';"],
  ['src/events/x.ts', "import { a } from '../store/store.ts';"],
  ['src/restart/x.ts', "import { a } from '../supervisor/index.ts';"],
  ['src/api/x2.ts', "import { a } from '../restart/index.ts';"],
  ['src/store/x.ts', "import { a } from '../supervisor/index.ts';"],
  ['src/daemon/x.ts', "import { a } from '../cli/program.ts';"],
  ['src/process-shim/x.ts', "import { a } from '../pool/pool.ts';"],
  ['workers/x.ts', "import { a } from '../src/pool/pool.ts';"],
  ['workers/shim/x.ts', "import { a } from '../../src/events/exchange.ts';"],
  ['workers/shim/x2.ts', "import { open } from 'lmdb';"],
] as const;

const allowed = [
  ['src/shared/util/y.ts', "import { a } from '../errors/index.ts';"],
  ['src/shared/y.ts', "import type { MessagePort } from 'node:worker_threads';\nexport type P = MessagePort;"],
  ['src/shared/y2.ts', "import type { Client } from '@grpc/grpc-js';\nexport type C = Client;"],
  ['src/api/y.ts', "import { a } from '../supervisor/index.ts';"],
  ['src/supervisor/y.ts', "import { a } from '../pool/pool.ts';"],
  ['src/restart/y.ts', "import { a } from '../store/index.ts';"],
  ['src/pool/y.ts', "import { Piscina } from 'piscina';"],
  ['src/store/y.ts', "import { open } from 'lmdb';"],
  ['workers/y.ts', "import { a } from '../src/shared/errors/index.ts';"],
  ['workers/shim/y.ts', "import { a } from '../../src/shared/errors/index.ts';"],
] as const;

describe('the import arrows', () => {
  let project = '';
  let complaints: { file: string; rule: string }[] = [];

  beforeAll(async () => {
    project = await mkdtemp(path.join(tmpdir(), 'shimd-arrows-'));
    // The arrows need no types, and the type checker would look for a whole project.
    const settings = JSON.parse(await readFile(path.join(repository, '.oxlintrc.json'), 'utf8')) as object;
    await writeFile(path.join(project, '.oxlintrc.json'), JSON.stringify({ ...settings, options: {} }));
    for (const [file, text] of [...refused, ...allowed]) {
      await mkdir(path.dirname(path.join(project, file)), { recursive: true });
      await writeFile(path.join(project, file), `${text}\n`);
    }
    await writeFile(
      path.join(project, 'src/api/one.ts'),
      "import { two } from './two.ts';\nexport const one = () => two;\n",
    );
    await writeFile(
      path.join(project, 'src/api/two.ts'),
      "import { one } from './one.ts';\nexport const two = () => one;\n",
    );
    const output = await new Promise<string>((resolve) => {
      execFile(process.execPath, [oxlint, '--format', 'json'], { cwd: project }, (_, stdout) => resolve(stdout));
    });
    const { diagnostics } = JSON.parse(output) as { diagnostics: { filename: string; code: string }[] };
    complaints = diagnostics.map((one) => ({ file: one.filename, rule: one.code }));
  });

  afterAll(() => rm(project, { recursive: true, force: true }));

  const refusals = (file: string) =>
    complaints.filter((one) => one.file === file && one.rule.includes('no-restricted-imports'));

  test.each(refused)('refuse in %s: %s', (file) => {
    expect(refusals(file)).toHaveLength(1);
  });

  test.each(allowed)('allow in %s: %s', (file) => {
    expect(refusals(file)).toEqual([]);
  });

  test('refuse a cycle', () => {
    expect(complaints.filter((one) => one.rule.includes('no-cycle')).map((one) => one.file)).toContain(
      'src/api/one.ts',
    );
  });
});
