import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { introspectionDefinition } from '../../src/shared/grpc/index.ts';
import { containerd as services } from '../../src/shared/proto/gen/services.js';
import { containerd } from '../../src/shared/proto/gen/task.js';
import { typeUrls, wireAny } from '../../src/shared/wire/any.ts';
import { newest } from '../guarantees/lib/choices.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { combinations, haveRuntimes, runc } from '../helpers/runtimes.ts';
import { endTask, launch, runcRuntime } from '../helpers/tasks.ts';
import { makeDirectory } from '../helpers/test-run.ts';

/** A runc that writes down that it was used. */
function wrapper(directory: string, name: string): string {
  const file = path.join(directory, name);
  writeFileSync(file, `#!/bin/sh\necho ${name} >> ${directory}/used\nexec ${runc} "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

function runcOptions(binaryName: string) {
  const value = containerd.runc.v1.Options.encode({ binaryName }).finish();
  return wireAny({ typeUrl: typeUrls.runcOptions, value });
}

describe.skipIf(!haveRuntimes).each(combinations)('runtime options with $title', ({ generation, placement }) => {
  let daemon: Daemon;

  afterEach(() => daemon?.[Symbol.asyncDispose]());

  test('of the container name the runtime, unless the task has options of its own', async () => {
    daemon = await Daemon.start({ generation, placement });
    const directory = makeDirectory();
    const [container, task] = ['container-runc', 'task-runc'].map((name) => wrapper(directory, name)) as [
      string,
      string,
    ];
    const used = () => [...new Set(readFileSync(path.join(directory, 'used'), 'utf8').trim().split('\n'))];
    await launch(daemon, 'container', { options: runcOptions(container) });
    expect(used()).toEqual(['container-runc']);
    await endTask(daemon, 'container');
    writeFileSync(path.join(directory, 'used'), '');
    await launch(daemon, 'task', { options: runcOptions(container), task: { options: runcOptions(task) } });
    await endTask(daemon, 'task');
    expect(used()).toEqual(['task-runc']);
    expect(await daemon.settled()).toEqual(nothingLeft);
  });
});

describe.skipIf(!haveRuntimes).each(newest.slice(0, 1))('runc asked about itself with $title', ({ generation }) => {
  test('tells its name, its version and its features', async () => {
    await using daemon = await Daemon.start({ generation });
    const value = services.types.RuntimeRequest.encode({ runtimePath: runcRuntime }).finish();
    const { extra } = await daemon.client.call(introspectionDefinition.pluginInfo, {
      type: 'io.containerd.runtime.v2',
      id: 'task',
      options: wireAny({ typeUrl: 'containerd.types.RuntimeRequest', value }),
    });
    const info = services.types.RuntimeInfo.decode(extra?.value ?? new Uint8Array());
    expect(info.name).toBe(runcRuntime);
    expect(info.version?.version).toContain(generation.version.slice(0, 3));
    expect(info.features?.type_url).toContain('features/Features');
  });
});
