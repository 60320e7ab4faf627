import { alreadyExists, invalidArgument } from '../shared/errors/index.ts';
import { parseSandboxId, parseShimId, type TaskRef } from '../shared/identifiers.ts';
import type { Directories } from '../shared/layout.ts';
import type { Logger } from '../shared/log/logger.ts';
import type { BinaryFacts, Deadlines, RuntimeInfo, ShimChoice } from '../shared/messages/index.ts';
import { containerd } from '../shared/proto/gen/task.js';
import { deadlineIn, earlier } from '../shared/util/deadline.ts';
import { type Any, isTypeUrl, typeUrls } from '../shared/wire/any.ts';
import type { CallOptions, CreateRequest } from './options.ts';
import type { PlacementConfig } from './placement-config.ts';
import type { Registry } from './registry.ts';
import { checkOptions } from './request-checks.ts';
import { RuntimeInfos } from './runtime-infos.ts';
import { RuntimeResolver } from './runtime-resolver.ts';
import { placeInSandbox } from './sandboxes/place.ts';
import type { Sandboxes } from './sandboxes/sandboxes.ts';
import { type Place, SharedShims } from './shared-shims.ts';
import { sharingOf } from './sharing.ts';
import type { Shim } from './shim.ts';
import { type SpecFacts, specFacts } from './spec-facts.ts';
import type { TaskSlot } from './task-slot.ts';

/** Where a task is to be created. */
export interface Placed {
  readonly slot: TaskSlot;
  readonly binary: string;
  readonly choice: ShimChoice;
  /** The shim that is there already; undefined where the task gets one, or a connection, of its own. */
  readonly shim: Shim | undefined;
  /** To be called once the create has ended, whatever came of it. */
  release(): void;
}

export interface PlacementOptions {
  readonly config: PlacementConfig;
  readonly slots: () => readonly TaskSlot[];
  readonly registry: Registry;
  readonly sandboxes: Sandboxes;
  readonly directories: Directories;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
}

/** A binary's version is asked again after this many milliseconds: it may have been upgraded in place. */
const keepFactsFor = 10_000;

/** Decides which shim, and so which slot, a task goes to. */
export class Placement {
  readonly shared: SharedShims;
  readonly resolver = new RuntimeResolver();
  readonly infos = new RuntimeInfos((binary, options) => this.#askInfo(binary, options));
  readonly #options: PlacementOptions;
  /** Creates under way that get a shim of their own: no slot counts them yet. */
  readonly #creating = new Map<TaskSlot, number>();
  readonly #facts = new Map<string, { readonly facts: Promise<BinaryFacts>; readonly at: number }>();

  constructor(options: PlacementOptions) {
    this.#options = options;
    this.shared = new SharedShims({
      ...options,
      chooseSlot: () => this.chooseSlot(),
      slots: () => options.slots().length,
    });
  }

  /** Throws INVALID_ARGUMENT for what cannot be, UNKNOWN where the runtime is not installed, and what starting a shim throws. */
  async place(
    ref: TaskRef,
    request: CreateRequest,
    call: CallOptions & { readonly deadline: number },
  ): Promise<Placed> {
    const facts = this.#groupedFacts(request);
    const binary = await this.resolver.resolve(request.runtime);
    checkOptions(binary, request.options);
    if (facts.idMappedMounts) await this.infos.assertMapsMounts(binary, request.options);
    const { registry, sandboxes } = this.#options;
    const joined = await placeInSandbox({ registry, sandboxes, chooseSlot: () => this.chooseSlot() }, ref, request, {
      ...call,
      binary,
    });
    if (joined !== undefined) return joined;
    const { config } = this.#options;
    const setting = config.runtimes[request.runtime] ?? config.mode;
    // A version is only worth asking for where it can change the answer.
    const binaryFacts =
      setting === 'per-task' ? ({ binary, startForm: 'unknown' } as const) : await this.#factsOf(binary, call.deadline);
    const sharing = { facts, stdio: request.stdio, restore: (request.checkpoint ?? '') !== '' };
    if (sharingOf(sharing, binaryFacts, setting) === 'per-task') return this.#own(ref, binary, request, facts);
    const cgroup = shimCgroupOf(request.options);
    const options = cgroup === '' ? undefined : cgroupOptions(cgroup);
    const place: Place = await this.shared.acquire({ namespace: ref.namespace, binary, cgroup, options }, call);
    const { shim } = place;
    return {
      slot: shim.slot,
      binary,
      choice: { kind: 'running', shim: shim.id },
      shim,
      release: () => place.release(),
    };
  }

  /** The slot with the least to do, of those whose thread serves. A group always has the same one: its tasks share a shim. */
  chooseSlot(group?: string): TaskSlot {
    const slots = this.#options.slots();
    if (group !== undefined) {
      const sum = Buffer.from(group).reduce((hash, byte) => (hash * 31 + byte) >>> 0, 7);
      const slot = slots[sum % slots.length];
      if (slot !== undefined) return slot;
    }
    const loadOf = (slot: TaskSlot) =>
      slot.operations + (this.#creating.get(slot) ?? 0) + (slot.state.kind === 'ready' ? 0 : 1e6);
    const load = new Map<TaskSlot, number>(slots.map((slot) => [slot, loadOf(slot)]));
    for (const shim of this.#options.registry.shims()) {
      load.set(shim.slot, (load.get(shim.slot) ?? 0) + 1 + shim.tasks.size);
    }
    const [first, ...others] = slots;
    if (first === undefined) throw new Error('the pool has no slots');
    return others.reduce((best, slot) => ((load.get(slot) ?? 0) < (load.get(best) ?? 0) ? slot : best), first);
  }

  #own(ref: TaskRef, binary: string, request: CreateRequest, facts: SpecFacts): Placed {
    // Its start action would answer the sandbox's shim, which would end with this task then.
    if (this.#options.sandboxes.has({ namespace: ref.namespace, sandbox: parseSandboxId(ref.task) })) {
      throw alreadyExists(`task ${ref.task}: a sandbox has this id, and the task is not in it: already exists`);
    }
    const start = {
      shim: parseShimId(ref.task),
      binary,
      ...(request.options === undefined ? {} : { options: request.options }),
    };
    const slot = this.chooseSlot(facts.group === undefined ? undefined : `${ref.namespace}/${facts.group}`);
    this.#creating.set(slot, (this.#creating.get(slot) ?? 0) + 1);
    let released = false;
    const release = () => {
      if (!released) this.#creating.set(slot, (this.#creating.get(slot) ?? 1) - 1);
      released = true;
    };
    return { slot, binary, choice: { kind: 'own', start }, shim: undefined, release };
  }

  #groupedFacts(request: CreateRequest): SpecFacts {
    const facts = specFacts(request.spec);
    return facts.group === undefined && request.sandbox ? { ...facts, group: request.sandbox.id } : facts;
  }

  #askInfo(binary: string, options: Any | undefined): Promise<RuntimeInfo> {
    const deadline = deadlineIn(this.#options.deadlines.start);
    const operation = {
      kind: 'runtime-info',
      deadline,
      binary,
      ...(options === undefined ? {} : { options }),
    } as const;
    return this.chooseSlot().run(operation);
  }

  #factsOf(binary: string, deadline: number): Promise<BinaryFacts> {
    const known = this.#facts.get(binary);
    if (known !== undefined && Date.now() - known.at < keepFactsFor) return known.facts;
    const budget = earlier(deadlineIn(this.#options.deadlines.start), deadline);
    const facts = this.chooseSlot().run({ kind: 'probe-binary', deadline: budget, binary });
    const entry = { facts, at: Date.now() };
    if (this.#facts.size >= 1000) this.#facts.clear();
    this.#facts.set(binary, entry);
    facts.catch(() => {
      if (this.#facts.get(binary) === entry) this.#facts.delete(binary);
    });
    return facts;
  }
}

const { Options } = containerd.runc.v1;

/** The only one of runc's options that is the shim's own. Throws INVALID_ARGUMENT where the bytes are rubbish. */
function shimCgroupOf(options: Any | undefined): string {
  if (options === undefined || !isTypeUrl(options.typeUrl, typeUrls.runcOptions)) return '';
  try {
    return Options.decode(options.value).shimCgroup;
  } catch {
    throw invalidArgument(`the runtime options are no ${typeUrls.runcOptions}: invalid argument`);
  }
}

function cgroupOptions(shimCgroup: string): Any {
  return { typeUrl: typeUrls.runcOptions, value: Options.encode({ shimCgroup }).finish() };
}
