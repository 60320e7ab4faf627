// Runs a shell script that nobody has to trust, in a container without network, on a read-only root file system, as nobody, within
// limits of time, memory and processes. Needs root, runc and containerd's shim, and a root file system that has /bin/sh.
//   node examples/code-sandbox.mjs ROOTFS < script.sh
import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { Supervisor } from 'shimd';

const MiB = 1 << 20;

/**
 * Resolves with what the script came to: `ok`, `failed` (with its status), `timeout`, `memory` or `output` (there was too
 * much of it), and its output so far.
 */
export async function runScript(supervisor, { rootfs, script, timeout = 5_000, memory = 64 * MiB, output = MiB }) {
  const id = `sandbox-${randomUUID()}`;
  const since = supervisor.cursor;
  const task = await supervisor.create({
    id,
    rootfs,
    readonlyRootfs: true,
    args: ['/bin/sh', '-s'],
    user: { uid: 65534, gid: 65534 },
    mounts: [{ destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'size=16m'] }],
    limits: { memory, cpus: 1, pids: 64 },
    stdin: 'pipe',
    output: 'pipe',
  });
  let verdict;
  const end = (reason) => {
    verdict ??= reason;
    // It may have ended by itself meanwhile.
    supervisor.kill(id, 'SIGKILL', { all: true }).catch(() => undefined);
  };
  try {
    const outputs = Promise.all([task.stdout, task.stderr].map((stream) => read(stream, output, () => end('output'))));
    await supervisor.start(id);
    const timer = setTimeout(() => end('timeout'), timeout);
    // A script that ends before it has read itself closes the pipe.
    task.stdin.on('error', () => undefined).end(script);
    const { status } = await supervisor.wait(id).finally(() => clearTimeout(timer));
    const [stdout, stderr] = await outputs;
    if (verdict === undefined && (await ranOutOfMemory(supervisor, id, since))) verdict = 'memory';
    return { verdict: verdict ?? (status === 0 ? 'ok' : 'failed'), status, stdout, stderr };
  } finally {
    await supervisor.delete(id, { force: true });
  }
}

/** Everything has to be read, or the script would wait for ever; what is over the limit is dropped. */
async function read(stream, limit, onOverflow) {
  let kept = '';
  for await (const chunk of stream.setEncoding('utf8')) {
    if (kept.length < limit) kept += chunk.slice(0, limit - kept.length);
    else onOverflow();
  }
  return kept;
}

/** The kernel's verdict comes before the exit. */
async function ranOutOfMemory(supervisor, id, since) {
  for await (const event of supervisor.events({ since })) {
    if (event.type === 'oom' && event.task === id) return true;
    if (event.type === 'exit' && event.task === id) return false;
  }
  return false;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [rootfs] = process.argv.slice(2);
  if (rootfs === undefined) throw new Error('usage: code-sandbox.mjs ROOTFS < script.sh');
  const supervisor = await Supervisor.open();
  try {
    console.log(await runScript(supervisor, { rootfs, script: await text(process.stdin) }));
  } finally {
    await supervisor.close();
  }
}
