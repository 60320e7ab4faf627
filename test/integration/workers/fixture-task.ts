import path from 'node:path';
import { parseShimId, type TaskRef } from '../../../src/shared/identifiers.ts';
import type { CreateTaskReply, ReplyOf, ShimChoice } from '../../../src/shared/messages/index.ts';
import { fixtureShims } from '../../helpers/fixture-shims.ts';
import type { TestSlot } from './worker-slot.ts';

const nowhere = { stdin: '', stdout: '', stderr: '', terminal: false };

export const fixtureBinary = (name: string): string => path.join(fixtureShims, `containerd-shim-${name}-v1`);

/** Creates a task with the fixture shim `name`, one of its own unless `choice` says otherwise. */
export function createFixtureTask(
  slot: TestSlot,
  ref: TaskRef,
  name: string,
  choice: ShimChoice = { kind: 'own', start: { shim: parseShimId(ref.task), binary: fixtureBinary(name) } },
): Promise<CreateTaskReply> {
  return slot.run({
    kind: 'create-task',
    ...ref,
    choice,
    spec: Buffer.from('{}'),
    rootfs: [],
    stdio: nowhere,
    checkpoint: '',
    runtime: fixtureBinary(name),
  });
}

/** Creates and starts one. */
export async function launchFixtureTask(slot: TestSlot, ref: TaskRef, name: string): Promise<CreateTaskReply> {
  const created = await createFixtureTask(slot, ref, name);
  await slot.run({ kind: 'start', ...ref });
  return created;
}

/** A shared shim of the fixture `name`. */
export function startFixtureShim(
  slot: TestSlot,
  namespace: TaskRef['namespace'],
  id: string,
  name: string,
): Promise<ReplyOf<'start-shim'>> {
  return slot.run({ kind: 'start-shim', namespace, start: { shim: parseShimId(id), binary: fixtureBinary(name) } });
}
