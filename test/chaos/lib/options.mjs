import path from 'node:path';
import { parseArgs } from 'node:util';

export const placements = ['auto', 'shared', 'per-task'];

export const usage = `Usage: npm run chaos -- [options]

Keeps a daemon busy with containers of the embedded runtime and of every runc shim in .cache, alone and in sandboxes,
while a script breaks everything round it: kill -9 of the daemon and of shims, lost threads, stopped shims, a full state
disk, clients that break off. A ledger outside the daemon knows how every process has to have ended. Needs root for the
full disk and for runc; another user's run has the embedded runtime only.

Options:
  --minutes M      how long faults happen, a fraction too (default 2); up to a few minutes without faults follow
  --seed S         any text; the same one makes the same choices again (default 1)
  --placement P    auto, shared, per-task, or all: the three side by side, a daemon for each (default auto)
  --width N        containers or sandboxes at once, 1 to 64 (default 6); a sandbox has up to three containers
  --calm N         containers or sandboxes in each of the rounds without faults that memory is judged by, at least 30;
                   with fewer it is not judged, with 0 there are none (default 60)
  --build DIR      the build to run (default: $SHIMD_BUILD, or dist)
  --json           print the summary as JSON instead of as a table
  --verbose        say what is done, and when, on standard error
  --help           this text

Exit codes: 0 nothing lost, repeated, wrong or left; 1 violations, which are listed, or a run that could not be made;
2 wrong options.

The last line is "N passed, N failed": a run for each placement.
The daemon's log is kept where something is wrong, and the summary says where.`;

export class UsageError extends Error {}

/** The run that the command line asks for. Throws UsageError. */
export function parseOptions(args, repository) {
  const { values } = parse(args);
  if (values.help) return { help: true };
  const { minutes, seed, placement, width, calm, build, json, verbose } = values;
  const wanted = placement === 'all' ? placements : [placement];
  if (!placements.includes(wanted[0]))
    throw new UsageError(`--placement ${placement}: give one of ${placements.join(', ')}, all`);
  return {
    help: false,
    milliseconds: number('--minutes', minutes, 0.01, 24 * 60) * 60_000,
    minutes: Number(minutes),
    seed,
    placements: wanted,
    width: number('--width', width, 1, 64),
    calm: number('--calm', calm, 0, 10_000),
    build: path.resolve(repository, build),
    json,
    verbose,
  };
}

function parse(args) {
  try {
    return parseArgs({
      args,
      options: {
        minutes: { type: 'string', default: '2' },
        seed: { type: 'string', default: '1' },
        placement: { type: 'string', default: 'auto' },
        width: { type: 'string', default: '6' },
        calm: { type: 'string', default: '60' },
        build: { type: 'string', default: process.env.SHIMD_BUILD ?? 'dist' },
        json: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error.message);
  }
}

function number(name, text, least, most) {
  const value = Number(text);
  if (text.trim() === '' || !(value >= least && value <= most)) {
    throw new UsageError(`${name} ${text}: give a number from ${least} to ${most}`);
  }
  return value;
}
