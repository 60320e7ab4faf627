import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { buildDirectory, type RunOptions, runProgram } from '../../helpers/program.ts';
import { busyboxRootfs, generations, haveRuntimes, repository, runc } from '../../helpers/runtimes.ts';
import { makeDirectory } from '../../helpers/test-run.ts';

interface Manifest {
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as Manifest;

async function succeed(file: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { code, stdout, stderr } = await runProgram(file, args, options);
  if (code !== 0) throw new Error(`${path.basename(file)} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

/** What `npm pack` makes of the build under test. */
async function pack(): Promise<string> {
  const stage = makeDirectory();
  cpSync(buildDirectory, path.join(stage, 'dist'), { recursive: true });
  for (const name of ['package.json', 'README.md', 'LICENSE', ...manifest.files]) {
    const target = path.join(stage, name);
    if (!existsSync(target)) cpSync(path.join(repository, name), target, { recursive: true });
  }
  await succeed('npm', ['pack', '--ignore-scripts', '--silent'], { cwd: stage });
  const archive = readdirSync(stage).find((name) => name.endsWith('.tgz'));
  if (archive === undefined) throw new Error('npm pack made nothing');
  return path.join(stage, archive);
}

/** An empty project with the package in it, unpacked; its dependencies are this project's own, so that no network is needed. */
async function install(archive: string): Promise<string> {
  const project = makeDirectory();
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({ name: 'host', type: 'module', private: true }));
  const target = path.join(project, 'node_modules/shimd');
  mkdirSync(target, { recursive: true });
  await succeed('tar', ['-xzf', archive, '--strip-components=1', '-C', target], {});
  for (const name of [...Object.keys(manifest.dependencies), '@types/node']) {
    const link = path.join(project, 'node_modules', name);
    mkdirSync(path.dirname(link), { recursive: true });
    symlinkSync(path.join(repository, 'node_modules', name), link);
  }
  return project;
}

/** The declaration files that one leads to. */
function declarationsFrom(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*['"](\.[^'"]+)['"]/g)) {
    const next = path.resolve(path.dirname(file), target).replace(/\.[jt]s$/, '.d.ts');
    declarationsFrom(next, found);
  }
  return found;
}

describe('the package, packed and unpacked into an empty project', () => {
  let project = '';
  const shipped = (...names: string[]) => path.join(project, 'node_modules/shimd', ...names);

  beforeAll(async () => {
    project = await install(await pack());
  });

  test.each([
    ['as Node resolves', ['--module', 'nodenext']],
    ['as bundlers resolve', ['--module', 'esnext', '--moduleResolution', 'bundler']],
  ])('has types that strict projects can use, %s', async (_, resolution) => {
    const program = `
      import { type CreateOptions, type ErrorCode, Supervisor, TaskError, type TaskEvent } from 'shimd';
      await using supervisor = await Supervisor.open({ workers: 1 });
      const options: CreateOptions = { id: 'a', args: ['true'], output: 'pipe' };
      const task = await supervisor.create(options);
      task.stdout.setEncoding('utf8');
      const exit = await supervisor.wait('a', { timeout: 1000 });
      export const year: number = exit.exitedAt.getFullYear();
      export const code: ErrorCode = new TaskError('NOT_FOUND', 'x').code;
      export function status(event: TaskEvent): number {
        // @ts-expect-error only exits and deletes have one
        if (event.type === 'oom') return event.status;
        return event.type === 'exit' ? event.status : -1;
      }
      // @ts-expect-error there is always an id
      await supervisor.create({ args: ['true'] });
    `;
    writeFileSync(path.join(project, 'check.ts'), program);
    const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--types', 'node', ...resolution];
    expect(await succeed(process.execPath, [tsc, ...options, 'check.ts'], { cwd: project })).toBe('');
  });

  test('shows nothing of its inside in its types', () => {
    const declarations = [...declarationsFrom(shipped('dist/src/index.d.ts'))];
    expect(declarations.map((file) => path.relative(shipped('dist/src'), file)).toSorted()).toEqual([
      'index.d.ts',
      'library/options.d.ts',
      'library/supervisor.d.ts',
      'library/task-event.d.ts',
      'library/task.d.ts',
      'shared/errors/codes.d.ts',
      'shared/errors/task-error.d.ts',
    ]);
  });

  test('exports two names and lets nobody in by other ways', async () => {
    const program = `
      const names = Object.keys(await import('shimd'));
      const inside = await import('shimd/dist/src/main.js').catch((error) => error.code);
      console.log(JSON.stringify([names, inside]));
    `;
    const stdout = await succeed(process.execPath, ['--input-type=module', '--eval', program], { cwd: project });
    expect(JSON.parse(stdout)).toEqual([['Supervisor', 'TaskError'], 'ERR_PACKAGE_PATH_NOT_EXPORTED']);
  });

  test('loads no gRPC server, logger or command line', async () => {
    // CommonJS modules are all that Node tells of; these packages are.
    const program = `
      import { createRequire } from 'node:module';
      import { Supervisor } from 'shimd';
      const supervisor = await Supervisor.open();
      console.log(Object.keys(createRequire(import.meta.url).cache).join('\\n'));
      await supervisor.close();
    `;
    const stdout = await succeed(process.execPath, ['--input-type=module', '--eval', program], { cwd: project });
    expect(stdout).toMatch(/protobufjs/);
    expect(stdout).not.toMatch(/grpc-js|winston|commander/);
  });

  test('has the commands of the command line', async () => {
    const main = shipped('dist/src/main.js');
    expect(await succeed(process.execPath, [main, '--help'], { cwd: project })).toContain('serve');
  });

  test('has a job runner that runs as it is', async () => {
    const stdout = await succeed(process.execPath, [shipped('examples/job-runner.mjs'), '7', '3'], { cwd: project });
    expect(stdout.match(/^job-\d+ exited with [03]$/gm)).toHaveLength(7);
    expect(stdout).toContain('5 of 7 exited with 0\n');
    expect(stdout).toContain('2 of 7 exited with 3\n');
  });

  describe.skipIf(!haveRuntimes)('has a code sandbox', () => {
    const shims = generations.map(({ name, version, shim }) => ({ name, version, shim }));

    test.each(shims)(
      'that holds scripts to their limits, on shim $version ($name)',
      { timeout: 120_000 },
      async (one) => {
        const program = `
        import { Supervisor } from 'shimd';
        import { runScript } from '${shipped('examples/code-sandbox.mjs')}';
        const supervisor = await Supervisor.open();
        const run = (script, limits) => runScript(supervisor, { rootfs: '${busyboxRootfs}', script, ...limits });
        try {
          const [fine, failed, late, greedy, loud] = await Promise.all([
            run('id -u; ls /sys/class/net; touch /x || touch /tmp/x && echo kept in'),
            run('echo no >&2; exit 9'),
            run('sleep 1000', { timeout: 300 }),
            run('x=a; while true; do x=$x$x; done', { memory: 16 << 20, timeout: 30_000 }),
            run('yes', { output: 1000, timeout: 30_000 }),
          ]);
          const left = await supervisor.list();
          console.log(JSON.stringify({ fine, failed, late, greedy, loud, left }));
        } finally {
          await supervisor.close();
        }
      `;
        const PATH = [path.dirname(one.shim), path.dirname(runc), process.env['PATH']].join(path.delimiter);
        const args = ['--input-type=module', '--eval', program];
        const stdout = await succeed(process.execPath, args, { cwd: project, env: { ...process.env, PATH } });
        const { fine, failed, late, greedy, loud, left } = JSON.parse(stdout) as Record<string, unknown>;
        expect(fine).toMatchObject({ verdict: 'ok', status: 0, stdout: '65534\nlo\nkept in\n' });
        expect(failed).toMatchObject({ verdict: 'failed', status: 9, stderr: 'no\n' });
        expect(late).toMatchObject({ verdict: 'timeout', status: 137 });
        expect(greedy).toMatchObject({ verdict: 'memory', status: 137 });
        expect(loud).toMatchObject({ verdict: 'output', stdout: 'y\n'.repeat(500) });
        expect(left).toEqual([]);
      },
    );
  });
});
