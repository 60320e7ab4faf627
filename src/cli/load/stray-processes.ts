import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const budget = 5_000;
const lookEvery = 50;

/**
 * Ends every process that belongs to a private directory, with all that descends from it: shims carry its path in their
 * environment or command line. SIGTERM is enough for a shim without tasks; after that SIGKILL, for tasks too.
 */
export async function endProcessesOf(directory: string): Promise<void> {
  const end = Date.now() + budget;
  for (let look = 0; Date.now() < end; look += 1) {
    const found = await processesOf(directory);
    if (found.length === 0) return;
    // A shim that is asked to end removes its socket; the second time nobody is asked.
    const signal = look === 0 ? 'SIGTERM' : look * lookEvery > 1_000 ? 'SIGKILL' : undefined;
    if (signal !== undefined) for (const pid of found) send(pid, signal);
    await sleep(lookEvery);
  }
}

/** Live processes of ours that name `directory`, and their descendants: the deepest first. */
export async function processesOf(directory: string): Promise<number[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const seen = await Promise.all(names.map((name) => look(Number(name), directory)));
  const alive = seen.filter((one) => one !== undefined);
  const found = new Set(alive.filter(({ named }) => named).map(({ pid }) => pid));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const { pid, parent } of alive) if (found.has(parent)) found.add(pid);
  }
  return [...found].toReversed();
}

interface Seen {
  readonly pid: number;
  readonly parent: number;
  readonly named: boolean;
}

/** Undefined for one that has ended, and for one that may not be looked into. */
async function look(pid: number, directory: string): Promise<Seen | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    const texts = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    );
    return { pid, parent: Number(parent), named: texts.some((text) => text.includes(`${directory}/`)) };
  } catch {
    return undefined;
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}
