import path from 'node:path';
import * as fc from 'fast-check';
import protobuf from 'protobufjs';
import { runtimeName } from '../../src/process-shim/about.ts';
import { typeUrls } from '../../src/shared/wire/any.ts';

/** What a generated message is made of. Field names with a meaning get values that often hit something that is there. */
export interface Words {
  /** A directory of the test's own: absolute paths lead into it. */
  readonly directory: string;
  readonly namespaces: readonly string[];
}

export interface Message {
  readonly [field: string]: unknown;
}

const ids = ['a', 'b', 'a.b'];
const hostile = [
  '',
  '.',
  '..',
  '../a',
  'a/b',
  'a..b',
  '-a',
  'a\0b',
  'a\nb',
  '\u202ea',
  '\ud83d\ude00',
  'x'.repeat(77),
  'x'.repeat(5000),
  '__proto__',
  'constructor',
  '%s%n',
  '$(id)',
];
const filters = [
  '',
  'id==a',
  'id~=^a',
  'labels."a.b"~=^c',
  'labels.x',
  'topic~=|^/tasks/|',
  'event.container_id==a',
  'id!=',
  '==',
  'id~=(',
  `id==${'x'.repeat(20_000)}`,
  '"',
];
const processOf = (args: readonly string[]) => ({
  args,
  cwd: '/',
  env: ['PATH=/usr/bin:/bin'],
  user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
});
const specOf = (args: readonly string[]) =>
  JSON.stringify({ ociVersion: '1.0.2', process: processOf(args), root: { path: '/' } });
/** The spec of a program of the host. */
export function programSpec(args: readonly string[]): { type_url: string; value: Buffer } {
  return { type_url: typeUrls.spec, value: Buffer.from(specOf(args)) };
}

const programs = [['sleep', '100'], ['true'], ['sh', '-c', 'exit 3'], ['/no/such/program']];
const values = [
  specOf(['sleep', '100']),
  specOf(['true']),
  specOf([]),
  '{}',
  '[]',
  'null',
  '{"process":',
  '',
  '\xff\xfe',
];
const anyUrls = [...Object.values(typeUrls), `type.googleapis.com/${typeUrls.runcOptions}`, 'no.such.Type', '', '/'];
const masks = [
  'labels',
  'labels.x',
  'labels.',
  'spec',
  'extensions',
  'extensions.a',
  'image',
  'snapshotkey',
  'id',
  'runtime',
  '',
];
const topics = ['/tasks/exit', '/my/topic', '/', '', 'tasks', '/a//b', `/${'x'.repeat(100)}`];
const runtimes = [
  runtimeName,
  runtimeName,
  runtimeName,
  runtimeName,
  runtimeName,
  'io.containerd.none.v1',
  'none',
  '',
  './x',
  '/no/such/shim',
];

/** Texts by the name of their field. */
const dictionaries: Readonly<Record<string, readonly string[]>> = {
  id: ids,
  container_id: ids,
  exec_id: [...ids, '', '', ''],
  sandbox_id: ids,
  sandbox: ['', '', ...ids],
  filter: filters,
  filters,
  type_url: anyUrls,
  paths: masks,
  fields: masks,
  topic: topics,
  runtime_path: ['', ...runtimes],
  service: ['', 'shimd.v1.Admin', 'none'],
};
const idDictionary: readonly string[] = ids;

/** Arbitrary messages of a type, none of whose texts names a path outside of the test's directory. */
export function messages(type: protobuf.Type, words: Words, depth = 0): fc.Arbitrary<Message> {
  const fields = Object.fromEntries(
    type.fieldsArray
      .filter((field) => depth < 4 || !(field.resolvedType instanceof protobuf.Type))
      .map((field) => [
        field.name,
        fc.option(fieldValues(field, words, depth), { nil: undefined, freq: presence(field) }),
      ]),
  );
  return fc
    .record(fields)
    .map((message) => Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined)));
}

/** How often a field is there, to once that it is not: what most calls need mostly is, what stops most of them mostly is not. */
function presence(field: protobuf.Field): number {
  if (/^(?:id|container_id|container|runtime|name|spec|resource|namespace)$/.test(field.name)) return 20;
  return /^(?:options|checkpoint|rootfs|runtime_path|terminal|std.*|sandbox|snapshot.*)$/.test(field.name) ? 1 : 3;
}

function fieldValues(field: protobuf.Field, words: Words, depth: number): fc.Arbitrary<unknown> {
  const one = singleValues(field, words, depth);
  if (field instanceof protobuf.MapField)
    return fc.dictionary(texts('label', words), one, { maxKeys: 4, noNullPrototype: true });
  return field.repeated ? fc.array(one, { maxLength: 4 }) : one;
}

function singleValues(field: protobuf.Field, words: Words, depth: number): fc.Arbitrary<unknown> {
  const { resolvedType } = field;
  if (resolvedType instanceof protobuf.Enum) return fc.constantFrom(...Object.values(resolvedType.values), 99);
  if (resolvedType instanceof protobuf.Type) {
    return resolvedType.fullName === '.google.protobuf.Any'
      ? anys(field, words)
      : messages(resolvedType, words, depth + 1);
  }
  switch (field.type) {
    case 'string':
      return texts(nameOf(field), words);
    case 'bytes':
      return fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
    case 'bool':
      return fc.boolean();
    case 'double':
    case 'float':
      return fc.double();
    case 'uint64':
    case 'int64':
      return fc.oneof(fc.constantFrom(0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER), fc.nat());
    default:
      return fc.oneof(fc.constantFrom(0, 1, 2, 9, 15, 64, 65, 2 ** 31 - 1, 2 ** 32 - 1), fc.nat());
  }
}

/** A runtime's name is called `name`, as a namespace's is: the type tells them apart. */
function nameOf(field: protobuf.Field): string {
  if (field.name !== 'name') return field.name;
  return field.parent?.name === 'Runtime'
    ? 'runtime_path'
    : field.parent?.name.includes('amespace')
      ? 'namespace'
      : 'name';
}

/** Mostly what a spec, or the process of an exec, is; else anything. */
function anys(field: protobuf.Field, words: Words): fc.Arbitrary<unknown> {
  if (field.name !== 'spec') return anyAnys(words);
  const isExec = field.parent?.name === 'ExecProcessRequest';
  const fitting = fc.constantFrom(...programs).map((args) => ({
    type_url: isExec ? typeUrls.process : typeUrls.spec,
    value: Buffer.from(isExec ? JSON.stringify(processOf(args)) : specOf(args)),
  }));
  return fc.oneof({ weight: 6, arbitrary: fitting }, { weight: 1, arbitrary: anyAnys(words) });
}

function anyAnys({ directory }: Words): fc.Arbitrary<unknown> {
  return fc.record({
    type_url: fc.constantFrom(...anyUrls),
    value: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...values).map((text) => Buffer.from(text)) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
      { weight: 1, arbitrary: fc.constant(Buffer.from(JSON.stringify({ root: { path: directory } }))) },
    ),
  });
}

/** A text that a client could send; on the wire half a surrogate pair is none. */
function texts(name: string, words: Words): fc.Arbitrary<string> {
  const known = name === 'namespace' ? words.namespaces : (dictionaries[name] ?? idDictionary);
  const isId = known === idDictionary || known === dictionaries['exec_id'];
  const streams = ['', `${words.directory}/none`, 'file://', 'http://x', 'relative'];
  return fc
    .oneof(
      { weight: 24, arbitrary: fc.constantFrom(...(/^std(?:in|out|err)$/.test(name) ? streams : known)) },
      { weight: isId ? 1 : 2, arbitrary: fc.constantFrom(...hostile) },
      { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 40 }) },
    )
    .map((text) => (path.isAbsolute(text) && !known.includes(text) ? `${words.directory}${text}` : text))
    .map((text) => (/^(?:binary|file|fifo):/.test(text) ? 'none://' : text));
}
