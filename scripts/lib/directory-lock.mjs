// A lock between processes: a directory with its holder's pid in it.
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A start-up that has not written its pid after this long is taken for dead. Milliseconds. */
const nameless = 10_000;

/** A process's start time in clock ticks tells it from a later one with the same pid; '' where it is gone. */
async function startTime(pid) {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

async function isStale(directory) {
  const owner = await readFile(path.join(directory, 'owner'), 'utf8').catch(() => '');
  if (owner === '') {
    const made = await stat(directory).catch(() => undefined);
    return made !== undefined && Date.now() - made.mtimeMs > nameless;
  }
  const [pid, started] = owner.trim().split(' ');
  return (await startTime(pid)) !== started;
}

/** Holds `directory` while `body` runs. Waits for another holder that lives, at most `patience` milliseconds. */
export async function withLock(directory, body, { patience = 900_000, onWait = () => undefined } = {}) {
  const end = Date.now() + patience;
  for (let waited = false; ; waited = true) {
    try {
      await mkdir(directory);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (await isStale(directory)) {
      // Renamed first: of two that see it stale, one gets it, and nobody removes a fresh lock's content piece by piece.
      const grave = `${directory}.stale-${process.pid}`;
      await rename(directory, grave).catch(() => undefined);
      await rm(grave, { recursive: true, force: true });
      continue;
    }
    if (Date.now() > end)
      throw new Error(`${directory} is still held by another process; remove it if none is running`);
    if (!waited) onWait();
    await delay(500);
  }
  try {
    await writeFile(path.join(directory, 'owner'), `${process.pid} ${await startTime(process.pid)}\n`);
    return await body();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
