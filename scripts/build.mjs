// Builds the project: protobuf code, then TypeScript, into dist/ (or --out DIR), then one file of each program.
// `--if-needed` does nothing where the sources are absent (an installed package) and dist/ is there.
import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values } = parseArgs({
  options: { out: { type: 'string', default: 'dist' }, 'if-needed': { type: 'boolean' } },
});
const out = path.resolve(root, values.out);

const exists = (file) =>
  stat(file).then(
    () => true,
    () => false,
  );
if (values['if-needed'] && !(await exists(path.join(root, 'tsconfig.json')))) process.exit(0);

// Says that what is in the directory is whole; made last.
const stamp = path.join(out, '.complete');
await rm(stamp, { force: true });
const { generateProto } = await import('./generate-proto.mjs');
await generateProto();
const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
const compiled = spawnSync(process.execPath, [tsc, '-p', path.join(root, 'tsconfig.build.json'), '--outDir', out], {
  cwd: root,
  stdio: 'inherit',
});
await cp(path.join(root, 'src/shared/proto/gen'), path.join(out, 'src/shared/proto/gen'), { recursive: true });
for (const program of ['src/main.js', 'src/process-shim/main.js']) {
  const file = path.join(out, program);
  if (await exists(file)) await chmod(file, 0o755);
}
// The embedded runtime under the name that its runtime is looked up by. `import()` works whichever kind of module Node
// takes a file without an extension for.
const shim = path.join(out, 'bin/containerd-shim-process-v1');
await mkdir(path.dirname(shim), { recursive: true });
await writeFile(shim, "#!/usr/bin/env node\nimport('../src/process-shim/main.js');\n");
await chmod(shim, 0o755);
if (compiled.status === 0) {
  const { bundle } = await import('./bundle.mjs');
  await bundle(out);
  await writeFile(stamp, '');
}
process.exit(compiled.status ?? 1);
