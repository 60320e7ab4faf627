// What the processes of a run do, and how it is told to a runtime.
import { setTimeout as delay } from 'node:timers/promises';
import { read } from './host.mjs';

const json = (type, value) => ({
  type_url: `types.containerd.io/opencontainers/runtime-spec/1/${type}`,
  value: Buffer.from(JSON.stringify(value)),
});

export const specAny = (spec) => json('Spec', spec);

export const processAny = (process) => json('Process', process);

/** Runs until SIGTERM, and ends with `code` then. */
export const trap = (code) => `trap 'exit ${code}' TERM; : > /dev/null; while :; do sleep 1000 & wait $!; done`;

/** Ends by itself. */
export const runFor = (milliseconds, code) => `sleep ${milliseconds / 1000}; exit ${code}`;

/** Whether a process that runs `trap` has come as far as that: it is set before the script's first child is there. */
export async function isTrapping(pid) {
  for (let look = 0; look < 100; look += 1) {
    if (read(`/proc/${pid}/task/${pid}/children`).trim() !== '') return true;
    await delay(20);
  }
  return false;
}
