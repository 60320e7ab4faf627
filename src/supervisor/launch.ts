import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseTaskRecord } from '../shared/bundle-records.ts';
import type { TaskRef } from '../shared/identifiers.ts';
import { bundleFiles, taskBundle } from '../shared/layout.ts';
import type { Context } from './context.ts';
import type { Launch } from './options.ts';

/** How a task was made, out of its bundle; undefined where that is gone. */
export async function launchOf(context: Context, { namespace, task }: TaskRef): Promise<Launch | undefined> {
  const file = path.join(taskBundle(context.directories, namespace, task), bundleFiles.task);
  const record = parseTaskRecord(await readFile(file, 'utf8').catch(() => ''));
  if (record === undefined) return undefined;
  const { runtime, stdio, rootfs = [], options } = record;
  return { runtime, stdio, rootfs, ...(options === undefined ? {} : { options }) };
}
