import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { versionDefinition } from '../../src/shared/grpc/index.ts';
import { openFifoReader } from '../../src/shared/host/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes } from '../helpers/runtimes.ts';
import {
  createContainer,
  createTask,
  deleteContainer,
  deleteTask,
  endTask,
  launch,
  waitTask,
} from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { newestPerTask } from './lib/choices.ts';

function makeFifo(daemon: Daemon, name: string): string {
  const file = path.join(daemon.directory, name);
  const { status, stderr } = spawnSync('mkfifo', [file], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`mkfifo: ${stderr}`);
  return file;
}

describe.skipIf(!haveRuntimes).each(combinations)('output with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test.each(['killed', 'stopped'])('of a task flows on while the daemon is %s', async (how) => {
    daemon = await Daemon.start({ generation, placement });
    const stdout = makeFifo(daemon, 'stdout');
    // A stream of the file system would park one of the four threads that Node reads files with.
    const reader = openFifoReader(stdout);
    let bytes = 0;
    reader.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    const script =
      'read -r _ < /proc/self/fd/0; i=0; while [ $i -lt 64 ]; do dd if=/dev/zero bs=65536 count=1 2>/dev/null; i=$((i+1)); done; exit 3';
    const stdin = makeFifo(daemon, 'stdin');
    const gate = openSync(stdin, 'r+');
    await launch(daemon, 'task', { args: ['/bin/sh', '-c', script], task: { stdin, stdout } });
    if (how === 'killed') await daemon.kill();
    else process.kill(daemon.pid, 'SIGSTOP');
    try {
      writeSync(gate, 'go\n');
      await waitFor(() => bytes === 64 * 65_536, { budget: 20_000, doing: '4 MiB to arrive' });
    } finally {
      if (how === 'stopped') process.kill(daemon.pid, 'SIGCONT');
      closeSync(gate);
      reader.destroy();
    }
    if (how === 'killed') await daemon.start();
    expect(await waitTask(daemon, 'task')).toEqual({ status: 3 });
    expect(await deleteTask(daemon, 'task')).toBe(3);
    await deleteContainer(daemon, 'task');
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});

describe.skipIf(!haveRuntimes).each(newestPerTask)('FIFOs with $title', ({ generation }) => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('that nobody opens hold up their own creates and nothing else', async () => {
    daemon = await Daemon.start({ generation, placement: 'per-task', config: '[deadlines]\ncall = "6s"\n' });
    // More than the threads that Node opens files with.
    const stuck = Array.from({ length: 8 }, (_, index) => `stuck-${index}`);
    const creating = stuck.map(async (id) => {
      await createContainer(daemon, id);
      await createTask(daemon, id, { stdout: makeFifo(daemon, id), budget: 3000 });
    });
    const results = Promise.allSettled(creating);
    await launch(daemon, 'free');
    expect(readFileSync(path.join(daemon.state, daemon.namespace, 'free', 'task.json'), 'utf8')).toContain('free');
    await endTask(daemon, 'free');
    const began = performance.now();
    await daemon.client.call(versionDefinition.version, {});
    expect(performance.now() - began).toBeLessThan(1500);
    expect((await results).map(({ status }) => status)).toEqual(stuck.map(() => 'rejected'));
    for (const id of stuck) await deleteContainer(daemon, id);
    expect(await daemon.settled({ budget: 25_000 })).toEqual(nothingLeft);
  });
});
