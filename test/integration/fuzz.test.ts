import { readdirSync, readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runtimeName } from '../../src/process-shim/about.ts';
import {
  adminDefinition,
  containersDefinition,
  namespacesDefinition,
  tasksDefinition,
  versionDefinition,
} from '../../src/shared/grpc/index.ts';
import { type Call, Caller } from '../fuzz/caller.ts';
import { type Message, messages, programSpec, type Words } from '../fuzz/messages.ts';
import { type Method, servedMethods } from '../fuzz/methods.ts';
import { Daemon } from '../helpers/daemon.ts';
import { waitFor } from '../helpers/wait-for.ts';

/** Longer with `npm run fuzz`. */
const seconds = Number(process.env['SHIMD_FUZZ_SECONDS'] ?? 12);
const seed = Number(process.env['SHIMD_FUZZ_SEED'] ?? 20_261);
const atOnce = 8;
const perSequence = 24;
/** Of the daemon's proportional set size, between a warm daemon and the end. */
const allowedGrowth = 1.5;

let daemon: Daemon;

beforeAll(async () => {
  // What is left is looked at in the end: not for as long as idle shims are kept otherwise.
  daemon = await Daemon.start({ config: '[placement]\nidle_grace = "1s"\n' });
});

afterAll(() => daemon?.[Symbol.asyncDispose]());

/** Rare, since each takes a thread's shims away for a moment. */
const restart = '/shimd.v1.Admin/RestartSlot';
const patience = fc.oneof(
  { weight: 9, arbitrary: fc.constant(10_000) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 20 }) },
);

function callsOf(methods: readonly Method[], words: Words): fc.Arbitrary<Call> {
  const namespaces = fc.option(fc.constantFrom(...words.namespaces, '../x', 'x'.repeat(77)), {
    nil: undefined,
    freq: 20,
  });
  const work = methods.filter(({ path }) => /\.(?:Tasks|Containers)\//.test(path));
  const rare = methods.filter(({ path }) => path === restart);
  const usual = methods.filter(({ path }) => path !== restart);
  return fc
    .oneof(
      { weight: 200, arbitrary: fc.constantFrom(...work) },
      { weight: 200, arbitrary: fc.constantFrom(...usual) },
      { weight: 1, arbitrary: fc.constantFrom(...rare) },
    )
    .chain((method) =>
      fc.record({
        method: fc.constant(method),
        namespace: namespaces,
        bytes: bytesOf(method, words),
        patience: method.isStream || method.path.endsWith('/Wait') ? fc.integer({ min: 1, max: 100 }) : patience,
      }),
    );
}

/** An encoded message, now and then cut short or with a bit turned round, or no message at all. */
function bytesOf(method: Method, words: Words): fc.Arbitrary<Buffer> {
  const encoded = messages(method.request, words).map((message) => encode(method, message));
  const broken = fc.tuple(encoded, fc.nat(), fc.nat({ max: 7 }), fc.boolean()).map(([bytes, at, bit, cut]) => {
    if (bytes.length === 0) return Buffer.from([0xff]);
    if (cut) return bytes.subarray(0, at % bytes.length);
    const turned = Buffer.from(bytes);
    turned[at % bytes.length] = (turned[at % bytes.length] ?? 0) ^ (1 << bit);
    return turned;
  });
  const noise = fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes));
  return fc.oneof(
    { weight: 16, arbitrary: encoded },
    { weight: 1, arbitrary: broken },
    { weight: 1, arbitrary: noise },
  );
}

function encode({ request }: Method, message: Message): Buffer {
  return Buffer.from(request.encode(request.create(message)).finish());
}

const descriptorCount = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;

/** Proportional set size in MB. */
function memory(): number {
  const text = readFileSync(`/proc/${daemon.pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024;
}

/** Has a task run under an id that the calls know: much can only be asked of one. */
async function keepOneRunning(): Promise<void> {
  const id = 'a';
  const container = { id, runtime: { name: runtimeName }, spec: programSpec(['sleep', '100']) };
  const ignore = () => undefined;
  await daemon.client.call(containersDefinition.create, { container }).catch(ignore);
  await daemon.client.call(tasksDefinition.create, { containerId: id }).catch(ignore);
  await daemon.client.call(tasksDefinition.start, { containerId: id }).catch(ignore);
}

/** Those that calls name and that are no rubbish. */
const usedNamespaces = (): string[] => [daemon.namespace, `${daemon.namespace}-b`];

/** Ends every task and removes every container, in every namespace: what they leave is what leaked. */
async function sweep(): Promise<void> {
  const { namespaces } = await daemon.client.call(namespacesDefinition.list, {});
  // One that was deleted in the middle of a create has a task all the same.
  const names = new Set([...usedNamespaces(), ...(namespaces ?? []).map(({ name }) => name ?? '')]);
  for (const namespace of names) {
    const options = { namespace };
    const { tasks } = await daemon.client.call(tasksDefinition.list, {}, options);
    for (const { id } of tasks ?? []) {
      await daemon.client.call(adminDefinition.deleteTask, { containerId: id ?? '', force: true }, options);
    }
    const { containers } = await daemon.client.call(containersDefinition.list, {}, options);
    for (const { id } of containers ?? []) {
      await daemon.client.call(containersDefinition.delete, { id: id ?? '' }, options);
    }
  }
}

test(
  `whatever is sent to whichever method, the daemon answers with a code that fits, serves others and keeps nothing (seed ${seed})`,
  async () => {
    const methods = await servedMethods();
    expect(methods.length).toBeGreaterThan(60);
    const words: Words = { directory: daemon.directory, namespaces: usedNamespaces() };
    const seen = new Map<string, Map<string, number>>();
    let calls = 0;
    let warm: { readonly descriptors: number; readonly memory: number } | undefined;
    const began = Date.now();
    const failures: string[] = [];
    using caller = new Caller(daemon.socket);

    const run = async (call: Call): Promise<void> => {
      const { code, details } = await caller.call(call);
      calls += 1;
      const codes = seen.get(call.method.path) ?? new Map<string, number>();
      seen.set(call.method.path, codes.set(code, (codes.get(code) ?? 0) + 1));
      const isFault =
        code === 'DATA_LOSS' ||
        // What grpc-js answers itself for bytes that are no message of the type.
        (code === 'INTERNAL' && !details.startsWith('Error deserializing request')) ||
        /\bundefined\b|TypeError|Cannot read|is not a function|\n {4}at /.test(details);
      if (isFault) failures.push(`${call.method.path} ${call.bytes.toString('base64')}: ${code} ${details}`);
    };

    const sequences = fc.array(callsOf(methods, words), { minLength: perSequence, maxLength: perSequence });
    await fc.assert(
      fc.asyncProperty(sequences, async (sequence) => {
        await keepOneRunning();
        const pending = sequence.values();
        const work = async () => {
          for (const call of pending) await run(call);
        };
        await Promise.all(Array.from({ length: atOnce }, work));
        expect(daemon.running).toBe(true);
        await daemon.client.call(versionDefinition.version, {}, { budget: 5000 });
        expect(failures).toEqual([]);
        if (warm === undefined && Date.now() - began > seconds * 250) {
          await sweep();
          warm = { descriptors: descriptorCount(), memory: memory() };
        }
      }),
      {
        seed,
        numRuns: 1_000_000,
        // Nothing to shrink: what a call meets depends on those before it. The message has the bytes.
        endOnFailure: true,
        interruptAfterTimeLimit: seconds * 1000,
        markInterruptAsFailure: false,
      },
    );
    if (process.env['SHIMD_FUZZ_TABLE']) {
      for (const [method, codes] of seen) console.log(method, Object.fromEntries(codes));
    }

    await sweep();
    expect(await daemon.settled({ budget: 30_000 })).toMatchObject({ processes: [], mounts: [], bundles: [] });
    if (warm === undefined) throw new Error('the run was too short to compare anything');
    const { descriptors, memory: before } = warm;
    await waitFor(() => descriptorCount() <= descriptors + 4, { budget: 15_000, doing: 'descriptors to be closed' });
    await waitFor(() => memory() <= before * allowedGrowth, {
      budget: 30_000,
      every: 500,
      doing: 'memory to be given back',
    });
    // Threads are ended on purpose, also while they start.
    const alarms = daemon.log.filter(
      ({ level, message }) => level === 'error' && !['thread lost', 'thread not started'].includes(String(message)),
    );
    expect(alarms).toEqual([]);
    console.log(`fuzz: ${calls} calls, seed ${seed}, memory ${before.toFixed(1)} -> ${memory().toFixed(1)} MB`);
    expect([...seen.keys()].toSorted()).toEqual(methods.map(({ path }) => path).toSorted());
  },
  seconds * 1000 + 90_000,
);
