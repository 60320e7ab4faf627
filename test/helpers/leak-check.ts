import { existsSync, rmdirSync, rmSync } from 'node:fs';
import { cgroupsNaming, mountsNaming, occupiedCgroups, processesNaming, runcStateNaming } from './leftovers.ts';
import { notedSockets, runDirectory, testRun } from './test-run.ts';
import { waitFor } from './wait-for.ts';

function leftovers(): string[] {
  const found = processesNaming(testRun).map(({ pid, command }) => `process ${pid}: ${command.slice(0, 200)}`);
  found.push(...mountsNaming(testRun).map((point) => `mount ${point}`));
  found.push(...occupiedCgroups(testRun).map((directory) => `cgroup ${directory}`));
  found.push(...runcStateNaming(testRun).map((directory) => `runc state ${directory}`));
  found.push(
    ...notedSockets()
      .filter((socket) => existsSync(socket))
      .map((socket) => `socket ${socket}`),
  );
  return found;
}

/** Runs before the suites; what it answers runs after them and fails the run for anything of it that is still there. */
export default function setup(): () => Promise<void> {
  // Read by the tests' processes, so that all of them belong to one run.
  process.env.SHIMD_TEST_RUN = testRun;
  return async () => {
    // What was told to end may need a moment; what nobody told will not go by itself.
    await waitFor(() => leftovers().length === 0, { budget: 5000, doing: 'the tests to leave nothing' }).catch(
      () => undefined,
    );
    const found = leftovers();
    if (found.length > 0) {
      process.exitCode = 1;
      throw new Error(`the tests left behind:\n  ${found.join('\n  ')}`);
    }
    for (const directory of cgroupsNaming(testRun)) rmdirSync(directory);
    rmSync(runDirectory, { recursive: true, force: true });
  };
}
