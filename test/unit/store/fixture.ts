import { execFileSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { parseNamespace, parseTaskId } from '../../../src/shared/identifiers.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import type { ContainerDescription } from '../../../src/store/container.ts';
import { Store } from '../../../src/store/store.ts';

export const namespace = parseNamespace('default');

/** A directory of the test's own, removed with it. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'shimd-store-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A file system of its own and of `size` bytes; only root can mount one. */
export async function smallFileSystem(size: number): Promise<string> {
  const directory = await temporaryDirectory();
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'shimd-test', directory]);
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', directory]);
  });
  return directory;
}

/** Leaves no room on a directory's file system; answers the file that takes it. */
export async function fill(directory: string): Promise<string> {
  const file = path.join(directory, 'ballast');
  const { bavail, bsize } = statfsSync(directory);
  await writeFile(file, Buffer.alloc(bavail * bsize)).catch(() => undefined);
  return file;
}

/** A store in a directory, closed with the test. */
export async function openStore(directory: string): Promise<Store> {
  const store = await Store.open(directory, { logger: silentLogger });
  onTestFinished(() => store.close());
  return store;
}

export function container(id: string, change: Partial<ContainerDescription> = {}): ContainerDescription {
  return {
    id: parseTaskId(id),
    labels: { colour: 'red' },
    image: 'docker.io/library/busybox:latest',
    runtime: { name: 'io.containerd.runc.v2', options: { typeUrl: 'options', value: Uint8Array.of(1, 2, 3) } },
    spec: { typeUrl: 'spec', value: Uint8Array.from(Buffer.from('{"ociVersion":"1.1.0"}')) },
    snapshotter: '',
    snapshotKey: '',
    extensions: { 'io.example': { typeUrl: 'extension', value: Uint8Array.of(9) } },
    sandbox: '',
    ...change,
  };
}
