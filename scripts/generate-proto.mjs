// Generates the static protobuf code in src/shared/proto/gen, and the descriptors for reflection, from the .proto files beside it.
// One bundle a consumer, so that a worker thread does not load the gRPC services' messages.
import { execFile } from 'node:child_process';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const protoDir = path.join(root, 'src/shared/proto');
const outDir = path.join(protoDir, 'gen');

/** Bundle name → the .proto files it is made of (their imports come along). */
export const bundles = {
  wire: ['ttrpc.proto', 'google/rpc.proto'],
  task: [
    'containerd/task/v2.proto',
    'containerd/runtime/bootstrap/v1.proto',
    'containerd/runc/v1.proto',
    'runtimeoptions/v1.proto',
    'containerd/types.proto',
  ],
  sandbox: ['containerd/runtime/sandbox/v1.proto'],
  events: ['containerd/events.proto', 'containerd/types.proto', 'containerd/services/events/ttrpc/v1.proto'],
  services: [
    'containerd/services/containers/v1.proto',
    'containerd/services/events/v1.proto',
    'containerd/services/introspection/v1.proto',
    'containerd/services/leases/v1.proto',
    'containerd/services/namespaces/v1.proto',
    'containerd/services/sandbox/v1.proto',
    'containerd/services/tasks/v1.proto',
    'containerd/services/version/v1.proto',
    'grpc/health/v1.proto',
  ],
  admin: ['shimd/v1/admin.proto'],
  reflection: ['grpc/reflection/v1.proto'],
  metrics: ['io/containerd/cgroups/v1.proto', 'io/containerd/cgroups/v2.proto'],
};

/** What a client that asks the server for its types can be told: the services, and what goes through them in an Any. */
const described = ['services', 'admin', 'reflection', 'events', 'metrics', 'task'];

async function newest(dir, skip) {
  let at = 0;
  for (const entry of await readdir(dir, { withFileTypes: true, recursive: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile() && file.endsWith('.proto') && !file.startsWith(skip))
      at = Math.max(at, (await stat(file)).mtimeMs);
  }
  return at;
}

/** Generates the bundles that are older than the newest .proto file; answers the names of those written. */
export async function generateProto() {
  await mkdir(outDir, { recursive: true });
  const source = Math.max(await newest(protoDir, outDir), (await stat(fileURLToPath(import.meta.url))).mtimeMs);
  const pbjs = createRequire(import.meta.url).resolve('protobufjs-cli/bin/pbjs');
  const written = [];
  await Promise.all(
    Object.entries(bundles).map(async ([name, files]) => {
      const out = path.join(outDir, `${name}.js`);
      const done = await stat(out).catch(() => undefined);
      if (done && done.mtimeMs > source) return;
      const options =
        '-t static-module -w esm --no-create --no-verify --no-convert --no-delimited --no-typeurl --no-beautify --no-service --force-number';
      const args = [pbjs, ...options.split(' '), '-r', `shimd-${name}`, '-p', protoDir];
      const sources = files.map((file) => path.join(protoDir, file));
      // Twice: the declarations are read from the comments, which the running code does not need.
      await run(process.execPath, [...args, '-d', '-o', out, ...sources]);
      await run(process.execPath, [...args, '--no-comments', '-o', out, ...sources]);
      written.push(name);
    }),
  );
  const descriptors = path.join(outDir, 'descriptors.json');
  const done = await stat(descriptors).catch(() => undefined);
  if (!done || done.mtimeMs <= source) {
    const { describeFiles } = await import('./lib/descriptors.mjs');
    const files = [...new Set(described.flatMap((name) => bundles[name]))];
    await writeFile(descriptors, JSON.stringify(await describeFiles(protoDir, files)));
    written.push('descriptors');
  }
  return written;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await generateProto();
