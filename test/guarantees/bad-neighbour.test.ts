import { mkdirSync, renameSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { isAlive } from '../helpers/leftovers.ts';
import { haveRuntimes } from '../helpers/runtimes.ts';
import { endTask, getTask, killTask, launch, Status } from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';
import { newestShared } from './lib/choices.ts';

describe.skipIf(!haveRuntimes).each(newestShared)(
  'a daemon that is started again with $title',
  ({ generation, placement }) => {
    let daemon: Daemon;

    afterEach(() => daemon?.[Symbol.asyncDispose]());

    test('takes over the neighbours of a task whose bundle cannot be read, and that one when it can', async () => {
      daemon = await Daemon.start({ generation, placement });
      const good = await launch(daemon, 'good');
      const bad = await launch(daemon, 'bad');
      await daemon.kill();
      const file = path.join(daemon.state, daemon.namespace, 'bad', 'processes.jsonl');
      renameSync(file, `${file}.away`);
      mkdirSync(file);
      await daemon.start();
      expect(await getTask(daemon, 'good')).toMatchObject({ pid: good, status: Status.RUNNING });
      expect(await failureOf(killTask(daemon, 'bad'))).toMatchObject({ code: 'UNAVAILABLE' });
      expect(isAlive(bad)).toBe(true);
      expect(daemon.log.some(({ message, task }) => message === 'bundle not read' && task === 'bad')).toBe(true);
      rmdirSync(file);
      renameSync(`${file}.away`, file);
      await waitFor(async () => (await getTask(daemon, 'bad')).status === Status.RUNNING, {
        budget: 20_000,
        doing: 'the task to be taken over',
      });
      expect(await getTask(daemon, 'bad')).toMatchObject({ pid: bad });
      for (const id of ['bad', 'good']) await endTask(daemon, id);
      expect(await daemon.settled()).toEqual(nothingLeft);
    });
  },
);
