import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { parseSandboxId } from '../../../src/shared/identifiers.ts';
import { silentLogger } from '../../../src/shared/log/logger.ts';
import { Store } from '../../../src/store/store.ts';
import { container, namespace, openStore, temporaryDirectory } from './fixture.ts';

const writerProgram = path.join(import.meta.dirname, 'writer.mjs');

const open = (directory: string) => Store.open(directory, { logger: silentLogger });

describe('Store', () => {
  test('keeps its uuid, containers, namespaces and leases when it is opened again', async () => {
    const directory = await temporaryDirectory();
    const first = await open(directory);
    const stored = await first.containers.create(namespace, container('one'));
    const pod = { id: parseSandboxId('pod'), labels: {}, runtime: { name: 'r' }, extensions: {}, sandboxer: 'shim' };
    const storedPod = await first.sandboxes.create(namespace, pod);
    await first.leases.create(namespace, 'lease', { 'containerd.io/gc.expire': '2999-01-01T00:00:00Z' });
    const { uuid } = first.instance;
    await first.close();

    const second = await openStore(directory);
    expect(second.instance.uuid).toBe(uuid);
    expect(second.containers.get(namespace, stored.id)).toEqual(stored);
    expect(second.sandboxes.get(namespace, pod.id)).toEqual(storedPod);
    expect(second.namespaces.list()).toEqual([{ name: namespace, labels: {} }]);
    expect(second.leases.list(namespace).map((lease) => lease.id)).toEqual(['lease']);
  });

  test('can be read by its owner only', async () => {
    const directory = await temporaryDirectory();
    await openStore(directory);
    expect((await stat(path.join(directory, '.metadata'))).mode & 0o777).toBe(0o700);
  });

  test.each([
    ['a text file', Buffer.from('this is not a database, it is a letter\n'.repeat(1000))],
    ['an empty file', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(1 << 20)],
    ['a few bytes', Buffer.from('hello')],
  ])('refuses %s in the place of a database and leaves it as it is', async (_, contents) => {
    const directory = await temporaryDirectory();
    const file = path.join(directory, '.metadata', 'metadata.mdb');
    await mkdir(path.dirname(file));
    await writeFile(file, contents);
    await expect(open(directory)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(`${file} cannot be used`),
    });
    expect((await readFile(file)).equals(contents)).toBe(true);
  });

  test('refuses a directory in the place of a database', async () => {
    const directory = await temporaryDirectory();
    await mkdir(path.join(directory, '.metadata', 'metadata.mdb'), { recursive: true });
    await expect(open(directory)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  test('refuses a database that is cut off', async () => {
    const directory = await temporaryDirectory();
    const store = await open(directory);
    await Promise.all(Array.from({ length: 50 }, (_, i) => store.containers.create(namespace, container(`c${i}`))));
    await store.close();
    const file = path.join(directory, '.metadata', 'metadata.mdb');
    await truncate(file, 3 * 4096);
    await expect(open(directory)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('it is cut off'),
    });
    expect((await stat(file)).size).toBe(3 * 4096);
  });

  test('refuses a database whose pages were overwritten', async () => {
    const directory = await temporaryDirectory();
    const store = await open(directory);
    await store.containers.create(namespace, container('one'));
    await store.close();
    const file = path.join(directory, '.metadata', 'metadata.mdb');
    const contents = await readFile(file);
    contents.fill('garbage', 2 * 4096);
    await writeFile(file, contents);
    await expect(open(directory)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  test.each([1, 40, 200, 333, 800])(
    'has all that was stored when its process is killed after %i lines',
    async (lines) => {
      const directory = await temporaryDirectory();
      const writer = spawn(process.execPath, [writerProgram, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
      const told = { container: 0, removed: 0, exit: 0 };
      let read = 0;
      for await (const line of createInterface({ input: writer.stdout })) {
        const [kind, count] = line.split(' ');
        if (kind === 'container' || kind === 'removed' || kind === 'exit') told[kind] = Number(count);
        read += 1;
        if (read === lines) writer.kill('SIGKILL');
      }
      if (writer.signalCode === null) await once(writer, 'exit');
      expect(read).toBeGreaterThanOrEqual(lines);

      const store = await openStore(directory);
      const exits = [...store.exits.list()];
      expect(exits.length).toBeGreaterThanOrEqual(told.exit);
      expect(exits.every(({ exit }) => exit.status === 5 && exit.source === 'wait')).toBe(true);
      const stored = new Set(store.containers.page(namespace, { limit: 100_000 }).map(({ id }) => String(id)));
      const wrong: string[] = [];
      for (let step = 1; step <= told.container; step++) {
        for (let caller = 0; caller < 8; caller++) {
          const id = `container-${caller}-${step}`;
          // The removal after the last that was told may have been under way.
          const isRight = step <= told.removed ? !stored.has(id) : stored.has(id) || step === told.removed + 1;
          if (!isRight) wrong.push(id);
        }
      }
      expect(wrong).toEqual([]);
      // It goes on working.
      await store.containers.create(namespace, container('one-more'));
    },
  );

  test('drops the exits, not the containers, when the machine went down without closing it', async () => {
    const directory = await temporaryDirectory();
    const metadata = path.join(directory, '.metadata');
    const store = await open(directory);
    await store.containers.create(namespace, container('one'));
    store.exits.put(
      { namespace, task: container('one').id },
      { pid: 1, status: 0, exitedAt: { seconds: 1, nanos: 0 }, source: 'wait' },
    );
    await store.close();
    await writeFile(path.join(metadata, 'exits.boot'), '00000000-0000-0000-0000-000000000000 open\n');
    await writeFile(path.join(metadata, 'exits.mdb'), 'torn');

    const again = await openStore(directory);
    expect([...again.exits.list()]).toEqual([]);
    expect(again.containers.page(namespace, { limit: 10 })).toHaveLength(1);
    expect(await readFile(path.join(metadata, 'exits.mdb.old'), 'utf8')).toBe('torn');
  });

  test('keeps the exits over a boot when it was closed in order', async () => {
    const directory = await temporaryDirectory();
    const store = await open(directory);
    const process = { namespace, task: container('one').id };
    store.exits.put(process, { pid: 1, status: 3, exitedAt: { seconds: 1, nanos: 0 }, source: 'wait' });
    await store.close();
    await writeFile(path.join(directory, '.metadata', 'exits.boot'), '00000000-0000-0000-0000-000000000000 closed\n');
    expect((await openStore(directory)).exits.get(process)).toMatchObject({ status: 3 });
  });

  test('clears away a database that was never finished', async () => {
    const directory = await temporaryDirectory();
    const metadata = path.join(directory, '.metadata');
    await mkdir(metadata);
    await writeFile(path.join(metadata, 'metadata.mdb.new'), 'half');
    const store = await openStore(directory);
    await store.containers.create(namespace, container('one'));
    expect(store.containers.page(namespace, { limit: 10 })).toHaveLength(1);
  });

  test('opens a copy of its files', async () => {
    const directory = await temporaryDirectory();
    const other = await temporaryDirectory();
    const store = await open(directory);
    await store.containers.create(namespace, container('one'));
    await store.close();
    await mkdir(path.join(other, '.metadata'));
    await copyFile(path.join(directory, '.metadata/metadata.mdb'), path.join(other, '.metadata/metadata.mdb'));
    expect((await openStore(other)).containers.page(namespace, { limit: 10 })).toHaveLength(1);
  });

  test('can be closed twice and refuses writes afterwards', async () => {
    const store = await open(await temporaryDirectory());
    await store.close();
    await store.close();
    await expect(store.containers.create(namespace, container('one'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
