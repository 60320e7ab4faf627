import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { runc } from '../../helpers/runtimes.ts';
import { makeDirectory } from '../../helpers/test-run.ts';
import { waitFor } from '../../helpers/wait-for.ts';

export type RuncCommand =
  | 'create'
  | 'start'
  | 'exec'
  | 'kill'
  | 'delete'
  | 'pause'
  | 'resume'
  | 'checkpoint'
  | 'restore';
/** Before runc does anything, or after it has done everything and before it says so. */
export type Moment = 'before' | 'after';

/**
 * A runc that stops where it is told to: a directory for `DaemonOptions.programs`, with a `runc` that looks for files
 * beside it. Only commands for ids that have `id` in them stop.
 */
export class StallingRunc {
  readonly directory: string = makeDirectory();

  constructor() {
    const script = [
      '#!/bin/sh',
      `here=${this.directory}`,
      'command=; for word in "$@"; do',
      '  case $word in',
      '    create|start|exec|kill|delete|pause|resume|state|ps|events|checkpoint|restore) command=$word; break ;;',
      '  esac',
      'done',
      'stall() {',
      '  [ -e "$here/$1-$command" ] || return 0',
      '  case "$*" in *"$(cat "$here/$1-$command")"*) ;; *) return 0 ;; esac',
      '  : > "$here/at-$1-$command"',
      '  while [ -e "$here/$1-$command" ]; do sleep 0.02; done',
      '}',
      'stall before "$@"',
      `[ -e "$here/after-$command" ] || exec ${runc} "$@"`,
      `${runc} "$@"; status=$?`,
      'stall after "$@"',
      'exit $status',
      '',
    ].join('\n');
    writeFileSync(path.join(this.directory, 'runc'), script);
    chmodSync(path.join(this.directory, 'runc'), 0o755);
  }

  /** From now on that command stops at that moment, for ids with `id` in them. */
  stall(moment: Moment, command: RuncCommand, id: string): void {
    writeFileSync(path.join(this.directory, `${moment}-${command}`), id);
  }

  /** Waits until one has stopped there. */
  async reached(moment: Moment, command: RuncCommand): Promise<void> {
    const file = path.join(this.directory, `at-${moment}-${command}`);
    await waitFor(() => existsSync(file), { doing: `runc ${command} to stop` });
  }

  /** Lets what has stopped go on, and nothing stop any more. */
  release(moment: Moment, command: RuncCommand): void {
    for (const name of [`${moment}-${command}`, `at-${moment}-${command}`]) {
      rmSync(path.join(this.directory, name), { force: true });
    }
  }
}
