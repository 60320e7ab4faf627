import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { openFifoReader } from '../../src/shared/host/index.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { makeFifo } from '../helpers/fifo.ts';
import { haveRuntimes } from '../helpers/runtimes.ts';
import { endTask, getTask, launch, Status } from '../helpers/tasks.ts';
import { newest } from './lib/choices.ts';

/** How long the daemon is stopped: give 600 for the ten minutes of the guarantee, which are too long for every day. */
const seconds = Number(process.env['SHIMD_STOPPED_SECONDS'] ?? 5);
/** Bytes between two numbers: a pipe of 64 KiB is full within a second. */
const filler = 4000;
/** Longest pause between two lines, in milliseconds, where the machine is busy with other things. */
const longestPause = 10_000;

/** Counts lines `NUMBER xxx…` and checks that none is missing. */
class Lines {
  count = 0;
  gaps = 0;
  slowest = 0;
  #rest = '';
  #last = performance.now();

  add(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (Number.parseInt(line, 10) !== this.count) this.gaps += 1;
      this.count += 1;
    }
    this.slowest = Math.max(this.slowest, performance.now() - this.#last);
    this.#last = performance.now();
  }
}

function isStopped(pid: number): boolean {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).startsWith('T');
}

describe.skipIf(!haveRuntimes).each(newest)('a daemon that is stopped, with $title,', ({ generation, placement }) => {
  let daemon: Daemon;

  afterEach(async () => {
    if (daemon?.running) process.kill(daemon.pid, 'SIGCONT');
    await daemon?.[Symbol.asyncDispose]();
  });

  test(
    'blocks no writer and loses none of its lines',
    async () => {
      daemon = await Daemon.start({ generation, placement });
      const stdout = makeFifo(daemon.directory, 'stdout');
      const reader = openFifoReader(stdout).setEncoding('utf8');
      const lines = new Lines();
      reader.on('data', (text: string) => lines.add(text));
      const script = `x=$(printf %${filler}s x); i=0; while :; do echo "$i $x"; i=$((i+1)); usleep 20000; done`;
      const pid = await launch(daemon, 'writer', { args: ['/bin/sh', '-c', script], task: { stdout } });
      await expect.poll(() => lines.count, { timeout: 10_000 }).toBeGreaterThan(0);

      process.kill(daemon.pid, 'SIGSTOP');
      await expect.poll(() => isStopped(daemon.pid)).toBe(true);
      const before = lines.count;
      lines.slowest = 0;
      const end = performance.now() + seconds * 1000;
      while (performance.now() < end) {
        const seen = lines.count;
        await delay(Math.min(1000, Math.max(0, end - performance.now())));
        await expect.poll(() => lines.count, { timeout: longestPause }).toBeGreaterThan(seen);
      }
      expect(isStopped(daemon.pid)).toBe(true);
      const written = lines.count - before;
      console.log(
        `timing: ${written} lines of ${filler} bytes while the daemon was stopped for ${seconds} s, none more than ${Math.round(lines.slowest)} ms after the one before it, ${placement}`,
      );
      // More than any buffer on the way holds.
      expect(written * filler).toBeGreaterThan(2 * 65_536);
      process.kill(daemon.pid, 'SIGCONT');

      expect(await getTask(daemon, 'writer')).toMatchObject({ pid, status: Status.RUNNING });
      await endTask(daemon, 'writer');
      expect(lines.gaps).toBe(0);
      reader.destroy();
      expect(await daemon.settled()).toEqual(nothingLeft);
    },
    seconds * 1000 + 120_000,
  );
});
