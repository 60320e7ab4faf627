// A root file system of one static busybox.
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { replaceDirectory } from './apt.mjs';

const run = promisify(execFile);

/** True for an ELF program that asks for no dynamic loader (no PT_INTERP). */
export async function isStatic(file) {
  const bytes = await readFile(file);
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) return false;
  const offset = Number(bytes.readBigUInt64LE(32));
  const size = bytes.readUInt16LE(54);
  const count = bytes.readUInt16LE(56);
  for (let index = 0; index < count; index += 1) {
    if (bytes.readUInt32LE(offset + index * size) === 3) return false;
  }
  return true;
}

/** Makes `directory` a root file system in which `busybox` is /bin/busybox and every applet links to it. */
export async function makeRootfs(busybox, directory) {
  const fresh = `${directory}.new-${process.pid}`;
  await rm(fresh, { recursive: true, force: true });
  for (const name of ['bin', 'etc', 'proc', 'sys', 'dev', 'root', 'run', 'var', 'home', 'mnt']) {
    await mkdir(path.join(fresh, name), { recursive: true });
  }
  await mkdir(path.join(fresh, 'tmp'));
  await chmod(path.join(fresh, 'tmp'), 0o1777);
  await copyFile(busybox, path.join(fresh, 'bin/busybox'));
  await chmod(path.join(fresh, 'bin/busybox'), 0o755);
  const { stdout } = await run(busybox, ['--list']);
  for (const applet of stdout.split('\n')) {
    if (/^[\w.[-]+$/.test(applet) && applet !== 'busybox') await symlink('busybox', path.join(fresh, 'bin', applet));
  }
  for (const name of ['sbin', 'usr']) await symlink(name === 'usr' ? '.' : 'bin', path.join(fresh, name));
  await writeFile(
    path.join(fresh, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  );
  await writeFile(path.join(fresh, 'etc/group'), 'root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n');
  await writeFile(path.join(fresh, 'etc/hostname'), 'busybox\n');
  await mkdir(path.dirname(directory), { recursive: true });
  await replaceDirectory(fresh, directory);
}
