import { afterEach, expect, test } from 'vitest';
import { namespacesDefinition } from '../../src/shared/grpc/index.ts';
import { failureOf } from '../helpers/api-client.ts';
import { Daemon, nothingLeft } from '../helpers/daemon.ts';
import { fixtureRuntime, fixtureShims } from '../helpers/fixture-shims.ts';
import { createContainer, createTask, deleteContainer } from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';

let daemon: Daemon;

afterEach(() => daemon?.[Symbol.asyncDispose]());

test('a namespace in which a create is still being undone is not deleted before that is over', async () => {
  daemon = await Daemon.start({ programs: [fixtureShims], config: '[deadlines]\ncall = "2s"\nstate = "500ms"\n' });
  await createContainer(daemon, 'hung', { runtime: fixtureRuntime('hanging-create') });
  const creating = failureOf(createTask(daemon, 'hung', { budget: 500 }));
  expect(await creating).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  await deleteContainer(daemon, 'hung');
  const remove = () => daemon.client.call(namespacesDefinition.delete, { name: daemon.namespace });
  expect(await failureOf(remove())).toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining('tasks'),
  });
  await waitFor(
    () =>
      remove().then(
        () => true,
        () => false,
      ),
    { budget: 20_000, doing: 'the namespace to be empty' },
  );
  expect(await daemon.settled()).toEqual(nothingLeft);
});
