import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runtimeName } from '../../src/process-shim/about.ts';
import {
  adminDefinition,
  containersDefinition,
  namespacesDefinition,
  tasksDefinition,
  versionDefinition,
} from '../../src/shared/grpc/index.ts';
import { Caller } from '../fuzz/caller.ts';
import { programSpec } from '../fuzz/messages.ts';
import { type Method, servedMethods } from '../fuzz/methods.ts';
import { type StringField, stringFields } from '../fuzz/string-fields.ts';
import { Daemon } from '../helpers/daemon.ts';
import { forEach } from '../helpers/tasks.ts';
import { waitFor } from '../helpers/wait-for.ts';

const id = 'a';
/** More than any field takes; within what a message may be long. */
const huge = 'x'.repeat(1 << 20);
const texts: Readonly<Record<string, string>> = {
  empty: '',
  huge,
  'huge with dots and slashes': '../'.repeat(100_000),
  'a NUL': 'a\0b',
  'a line break and an escape sequence': 'a\r\n\u001b[31mb',
  'what turns text round': '\u202ea\u0085',
  'a way out': '../../a',
};

/** These say: the request is wrong, or what it asks for is not there, or not possible. Everything else is a fault of the daemon's. */
const fitting = new Set([
  'OK',
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'FAILED_PRECONDITION',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'RESOURCE_EXHAUSTED',
  'PERMISSION_DENIED',
]);
/** What a caller waits for: a stream that is accepted, and a task that runs. */
const endless = /\/(?:Subscribe|Events|Watch|Wait|WaitSandbox|ShimLog|ServerReflectionInfo)$/;
/** Bytes that an error may take; some gRPC clients refuse headers over 8 KiB. */
const longestMessage = 4096;

let daemon: Daemon;
let caller: Caller;

beforeAll(async () => {
  // What is left is looked at in the end: not for as long as idle shims are kept otherwise.
  daemon = await Daemon.start({ config: '[placement]\nidle_grace = "1s"\n' });
  caller = new Caller(daemon.socket);
});

afterAll(async () => {
  caller?.[Symbol.dispose]();
  await daemon?.[Symbol.asyncDispose]();
});

const descriptors = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;

/** What most calls ask something of. */
async function keepOneRunning(): Promise<void> {
  const container = { id, runtime: { name: runtimeName }, spec: programSpec(['sleep', '100']) };
  const ignore = () => undefined;
  await daemon.client.call(containersDefinition.create, { container }).catch(ignore);
  await daemon.client.call(tasksDefinition.create, { containerId: id }).catch(ignore);
  await daemon.client.call(tasksDefinition.start, { containerId: id }).catch(ignore);
}

/** What is wrong with the answer; undefined where it fits. */
async function probe(method: Method, field: StringField, kind: string): Promise<string | undefined> {
  const { request } = method;
  const bytes = Buffer.from(request.encode(request.create(field.message(texts[kind] ?? ''))).finish());
  const isEndless = endless.test(method.path);
  const began = Date.now();
  const outcome = await caller.call({ method, namespace: daemon.namespace, bytes, patience: isEndless ? 150 : 15_000 });
  const { code, details } = outcome;
  const of = `${method.path} ${field.path}, ${kind}: ${code} ${JSON.stringify(details.slice(0, 300))}`;
  if (!fitting.has(code) && !(isEndless && code === 'DEADLINE_EXCEEDED')) return of;
  if (details.length > longestMessage) return `${of}: ${details.length} characters long`;
  if (/(?![\n\t])\p{Cc}|\p{Bidi_Control}/u.test(details)) return `${of}: with control characters`;
  if (Date.now() - began > 10_000) return `${of}: only after ${Date.now() - began} ms`;
  return undefined;
}

async function sweep(): Promise<void> {
  const { namespaces } = await daemon.client.call(namespacesDefinition.list, {});
  for (const { name } of namespaces ?? []) {
    const options = { namespace: name ?? '' };
    const { tasks } = await daemon.client.call(tasksDefinition.list, {}, options);
    for (const task of tasks ?? []) {
      await daemon.client.call(adminDefinition.deleteTask, { containerId: task.id ?? '', force: true }, options);
    }
  }
}

describe('every text of every request', () => {
  test('may be empty, huge, or full of control characters: the answer has a code that fits and can be printed', async () => {
    const known = new Map([
      ['id', id],
      ['container_id', id],
      ['sandbox_id', id],
      ['lease_id', id],
      ['name', 'name'],
      ['topic', '/my/topic'],
      ['type_url', 'type'],
      ['type', 'content'],
      ['signal', '9'],
    ]);
    const methods = await servedMethods();
    const faults: string[] = [];
    let probes = 0;
    let before: number | undefined;
    for (const method of methods) {
      await keepOneRunning();
      const fields = stringFields(method.request, known);
      const all = fields.flatMap((field) => Object.keys(texts).map((kind) => ({ field, kind })));
      await forEach(all, 8, async ({ field, kind }) => {
        probes += 1;
        const fault = await probe(method, field, kind);
        if (fault !== undefined) faults.push(fault);
      });
      expect(daemon.running).toBe(true);
      await daemon.client.call(versionDefinition.version, {}, { budget: 5000 });
      before ??= descriptors();
    }
    console.log(`${probes} texts in ${methods.length} methods`);
    expect(faults).toEqual([]);
    expect(probes).toBeGreaterThan(1000);

    await sweep();
    expect(await daemon.settled({ budget: 30_000 })).toMatchObject({ processes: [], mounts: [], bundles: [] });
    await waitFor(() => descriptors() <= (before ?? 0) + 4, { budget: 15_000, doing: 'descriptors to be closed' });
    expect(daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
    // Nothing of it was taken for a line of the log.
    expect(daemon.output.includes('\u001b[31mb')).toBe(false);
  }, 180_000);
});
